// ATTENTION of prompts with matrices that belong to a whole workgroup: kRows queries of a head, 64 keys at
// a time. Keys and values are F16 rows of HEAD elements, 64 of them always in one page; q and the weights
// become F16, sums are F32. Queries of several sequences take turns. Late queries see most keys, so they
// come first.
#version 460
#include "common.glsl"
#include "keys.glsl"
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_NV_cooperative_matrix2 : require

const uint kRows = 64, kKeys = 64, kThreads = 128;
layout(local_size_x = kThreads) in;
layout(constant_id = 0) const bool kPlain = true; // no softcap and no slopes
// Strides of AttentionParams and of the result, known so that loads can be wide.
layout(constant_id = 1) const uint kQueryToken = 8;
layout(constant_id = 2) const uint kKeyCell = 8;
layout(constant_id = 3) const uint kValueCell = 8;
layout(constant_id = 4) const uint kResultToken = 8;
layout(push_constant) uniform Push { AttentionParams p; };
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Halves {
    float16_t v[];
};
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Floats { float v[]; };

// Of a query: its position, and the keys that it sees of the sequence whose turn it is.
struct Query {
    int position, low, high;
};
shared Query queries[kRows];
shared int next, lowest, highest; // of the sequences still to come; of the keys that any query sees
shared int first_common, last_common; // keys that all see: from, to (exclusive)
const int kNoSequence = 0x7fffffff;
int chunk; // the first key of those at hand
float slope;

#define Scores coopmat<float, gl_ScopeWorkgroup, kRows, kKeys, gl_MatrixUseAccumulator>
#define Sums coopmat<float, gl_ScopeWorkgroup, kRows, HEAD, gl_MatrixUseAccumulator>
#define Weights coopmat<float16_t, gl_ScopeWorkgroup, kRows, kKeys, gl_MatrixUseA>
#define ClampedLayout tensorLayoutNV<2, gl_CooperativeMatrixClampModeConstantNV>

// A score that is not seen is far below the lowest peak, which is far below all scores.
const float kUnseen = -1e30, kLowest = -1e29;
float score_of(const in uint row, const in uint column, const in float product) {
    const Query query = queries[row];
    const int key = chunk + int(column);
    float x = p.scale * product;
    if (!kPlain) {
        if (p.softcap > 0.0) x = p.softcap * tanh_safe(x / p.softcap);
        x += slope * float(key - query.position);
    }
    return key >= query.low && key < query.high ? x : kUnseen;
}
float larger(const in float a, const in float b) { return max(a, b); }
float added(const in float a, const in float b) { return a + b; }
float larger_of(const in uint row, const in uint column, const in float a, const in float b) {
    return max(a, b);
}
float power_of(const in uint row, const in uint column, const in float x, const in float peak) {
    return exp(x - peak);
}
float half_range(const in uint row, const in uint column, const in float x) {
    return clamp(x, -65504.0, 65504.0);
}

// The next sequence after `last` among the queries, and which of its keys they see.
int choose_sequence(AttentionTable t, int last, int sequence) {
    const uint i = gl_LocalInvocationID.x;
    barrier();
    if (i == 0) {
        next = lowest = last_common = kNoSequence;
        highest = first_common = 0;
    }
    barrier();
    if (sequence > last) atomicMin(next, sequence);
    barrier();
    const int chosen = next;
    if (i < kRows && chosen != kNoSequence) {
        Query query = queries[i];
        query.low = query.high = 0;
        if (sequence == chosen) seen_keys(t, uint(chosen), query.position, query.low, query.high);
        queries[i] = query;
        if (query.low < query.high) {
            atomicMin(lowest, query.low);
            atomicMax(highest, query.high);
        }
        atomicMax(first_common, query.low);
        atomicMin(last_common, query.high);
    }
    barrier();
    return chosen;
}

// The factor of a sum of weighted values: `weight` is the sum of the weights, whose peak is `peak`.
float sink;
float finished(const in uint row, const in uint column, const in float x, const in float weight,
               const in float peak) {
    if (weight == 0.0) return 0.0;
    if (sink == -kInf) return x / weight;
    const float top = max(peak, sink), keep = exp(peak - top);
    return x * keep / (weight * keep + exp(sink - top));
}

void main() {
    const uint i = gl_LocalInvocationID.x;
    const uint first = (gl_NumWorkGroups.x - 1 - gl_WorkGroupID.x) * kRows, head = gl_WorkGroupID.y;
    const AttentionTable t = Table(p.table).t;
    const uint token = min(first + i, p.tokens - 1);
    int sequence = -1;
    if (i < kRows) {
        queries[i] = Query(I32(t.positions).v[token], 0, 0);
        if (first + i < p.tokens) sequence = I32(t.sequences).v[token];
        if (sequence >= int(p.sequences)) sequence = -1;
    }
    slope = t.slopes != 0 ? F32(t.slopes).v[head] : 0.0;
    sink = t.sinks != 0 ? F32(t.sinks).v[head] : -kInf;

    ClampedLayout q_rows = createTensorLayoutNV(2, gl_CooperativeMatrixClampModeConstantNV);
    q_rows = setTensorLayoutDimensionNV(q_rows, p.tokens - first, HEAD);
    q_rows = setTensorLayoutStrideNV(q_rows, kQueryToken, 1);
    q_rows = sliceTensorLayoutNV(q_rows, 0, kRows, 0, HEAD);
    Floats q_of_head = Floats(p.q + (uint64_t(first) * p.q_token + uint64_t(head) * p.q_head) * 4);
    Sums raw;
    coopMatLoadTensorNV(raw, q_of_head.v, 0, q_rows);
    coopMatPerElementNV(raw, raw, half_range);
    const coopmat<float16_t, gl_ScopeWorkgroup, kRows, HEAD, gl_MatrixUseA> q =
        coopmat<float16_t, gl_ScopeWorkgroup, kRows, HEAD, gl_MatrixUseA>(raw);

    tensorLayoutNV<2> k_rows = createTensorLayoutNV(2);
    k_rows = setTensorLayoutDimensionNV(k_rows, kKeys, HEAD);
    k_rows = setTensorLayoutStrideNV(k_rows, kKeyCell, 1);
    k_rows = sliceTensorLayoutNV(k_rows, 0, kKeys, 0, HEAD);
    tensorLayoutNV<2> v_rows = createTensorLayoutNV(2);
    v_rows = setTensorLayoutDimensionNV(v_rows, kKeys, HEAD);
    v_rows = setTensorLayoutStrideNV(v_rows, kValueCell, 1);
    v_rows = sliceTensorLayoutNV(v_rows, 0, kKeys, 0, HEAD);
    tensorViewNV<2, false, 1, 0> transposed = createTensorViewNV(2, false, 1, 0);

    Sums sums = Sums(0.0);
    Scores peaks = Scores(kLowest), total = Scores(0.0);
    const uint64_t keys = p.k + uint64_t(head / p.group) * p.k_head * 2;
    const uint64_t values = p.v + uint64_t(head / p.group) * p.v_head * 2;
    for (int chosen = choose_sequence(t, -1, sequence); chosen != kNoSequence;
         chosen = choose_sequence(t, chosen, sequence)) {
        const int end = highest, from_common = first_common, to_common = last_common;
        for (chunk = lowest / int(kKeys) * int(kKeys); chunk < end; chunk += int(kKeys)) {
            const uint cell = cell_of(t, uint(chosen), chunk);
            if (cell == kNoCell) continue;
            coopmat<float16_t, gl_ScopeWorkgroup, HEAD, kKeys, gl_MatrixUseB> k;
            coopMatLoadTensorNV(k, Halves(keys + uint64_t(cell) * (kKeyCell * 2)).v, 0, k_rows,
                                transposed);
            Scores scores = coopMatMulAdd(q, k, Scores(0.0));
            if (kPlain && chunk >= from_common && chunk + int(kKeys) <= to_common)
                scores = scores * p.scale;
            else
                coopMatPerElementNV(scores, scores, score_of);
            Scores tops, before = peaks, keep;
            coopMatReduceNV(tops, scores, gl_CooperativeMatrixReduceRowNV, larger);
            coopMatPerElementNV(peaks, tops, larger_of, before);
            coopMatPerElementNV(keep, before, power_of, peaks);
            coopMatPerElementNV(scores, scores, power_of, peaks);
            total = total * keep + scores;
            Sums wide_keep;
            coopMatReduceNV(wide_keep, keep, gl_CooperativeMatrixReduceRowNV, larger);
            sums = sums * wide_keep;
            const Weights weights = Weights(scores);
            coopmat<float16_t, gl_ScopeWorkgroup, kKeys, HEAD, gl_MatrixUseB> v;
            Halves v_cells = Halves(values + uint64_t(cell) * (kValueCell * 2));
            if (chunk + int(kKeys) <= end) {
                coopMatLoadTensorNV(v, v_cells.v, 0, v_rows);
            } else { // what nobody sees may be anything
                ClampedLayout seen =
                    createTensorLayoutNV(2, gl_CooperativeMatrixClampModeConstantNV);
                seen = setTensorLayoutDimensionNV(seen, uint(end - chunk), HEAD);
                seen = setTensorLayoutStrideNV(seen, kValueCell, 1);
                seen = sliceTensorLayoutNV(seen, 0, kKeys, 0, HEAD);
                coopMatLoadTensorNV(v, v_cells.v, 0, seen);
            }
            sums = coopMatMulAdd(weights, v, sums);
        }
    }
    Sums all_weights, top;
    coopMatReduceNV(all_weights, total, gl_CooperativeMatrixReduceRowNV, added);
    coopMatReduceNV(top, peaks, gl_CooperativeMatrixReduceRowNV, larger);
    coopMatPerElementNV(sums, sums, finished, all_weights, top);
    ClampedLayout y_rows = createTensorLayoutNV(2, gl_CooperativeMatrixClampModeConstantNV);
    y_rows = setTensorLayoutDimensionNV(y_rows, p.tokens - first, HEAD);
    y_rows = setTensorLayoutStrideNV(y_rows, kResultToken, 1);
    y_rows = sliceTensorLayoutNV(y_rows, 0, kRows, 0, HEAD);
    Floats y = Floats(p.y + (uint64_t(first) * kResultToken + head * HEAD) * 4);
    coopMatStoreTensorNV(sums, y.v, 0, y_rows);
}
