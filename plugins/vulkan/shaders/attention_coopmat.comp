// ATTENTION of prompts with cooperative matrices: a workgroup for 64 queries of a head, 64 keys at a
// time, a subgroup of 32 for 16 queries, two threads for a query. Keys and values are F16 rows of HEAD
// elements; q and the weights become F16, sums are F32. Queries of several sequences take turns.
#version 460
#include "common.glsl"
#include "keys.glsl"
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require

const uint kRows = 64, kThreads = 128, kFragments = HEAD / 16;
const uint kStride = HEAD / 8 + 1;  // of the rows in `tile` in 16 bytes; odd for the banks
const uint kScoreStride = kRows + 4, kWeightStride = kRows / 8 + 1;
layout(local_size_x = kThreads) in;
layout(push_constant) uniform Push { AttentionParams p; };

shared uvec4 tile[kRows * kStride]; // q, then keys and values in turn
shared float scores[kRows * kScoreStride];
shared uvec4 weights[kRows * kWeightStride];
shared uint cells[kRows];
shared float of_thread[kThreads];
shared int next, lowest, highest;
const int kNoSequence = 0x7fffffff;

#define Sums coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator>
#define Left coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseA>
#define Right coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseB>

uint pair(vec2 x) { return packFloat2x16(f16vec2(clamp(x, -65504.0, 65504.0))); }

void load_q(uint first, uint head) {
    for (uint i = gl_LocalInvocationID.x; i < kRows * HEAD / 8; i += kThreads) {
        const uint row = i / (HEAD / 8), at = i % (HEAD / 8);
        F32x2 q = F32x2(p.q + (uint64_t(min(first + row, p.tokens - 1)) * p.q_token +
                               uint64_t(head) * p.q_head + at * 8) * 4);
        tile[row * kStride + at] = uvec4(pair(q.v[0]), pair(q.v[1]), pair(q.v[2]), pair(q.v[3]));
    }
}

// Rows of keys or values of the chunk; zeros for what nobody sees.
void load_rows(uint64_t base, uint cell_stride) {
    [[unroll]] for (uint j = 0; j < kRows * HEAD / 8 / kThreads; ++j) {
        const uint i = gl_LocalInvocationID.x + j * kThreads;
        const uint row = i / (HEAD / 8), at = i % (HEAD / 8), cell = cells[row];
        uvec4 eight = uvec4(0);
        if (cell != kNoCell) eight = U32x4(base + uint64_t(cell) * cell_stride * 2).v[at];
        tile[row * kStride + at] = eight;
    }
}

// A query, as both of its threads have it.
struct Query {
    int position, low, high; // sees keys low..high-1
    float slope, top, sum;   // sum: of this thread's columns
};

// Scores of this thread's 32 columns -> weights, and the factor of what was summed before.
float weigh(inout Query query, int begin) {
    const uint i = gl_LocalInvocationID.x, row = i / 2, column = i % 2 * 32;
    float score[32];
    float peak = -kInf;
    [[unroll]] for (uint c = 0; c < 32; ++c) {
        const int key = begin + int(column + c);
        float x = p.scale * scores[row * kScoreStride + column + c];
        if (p.softcap > 0.0) x = p.softcap * tanh_safe(x / p.softcap);
        x += query.slope * float(key - query.position);
        const bool seen = key >= query.low && key < query.high && cells[column + c] != kNoCell;
        score[c] = seen ? x : -kInf;
        peak = max(peak, score[c]);
    }
    of_thread[i] = peak;
    subgroupBarrier();
    peak = max(query.top, max(peak, of_thread[i ^ 1]));
    const float keep = query.top == -kInf ? 0.0 : exp(query.top - peak);
    query.top = peak;
    query.sum *= keep;
    [[unroll]] for (uint c = 0; c < 32; ++c) {
        score[c] = peak == -kInf ? 0.0 : exp(score[c] - peak);
        query.sum += score[c];
    }
    [[unroll]] for (uint c = 0; c < 32; c += 8)
        weights[row * kWeightStride + (column + c) / 8] =
            uvec4(pair(vec2(score[c], score[c + 1])), pair(vec2(score[c + 2], score[c + 3])),
                  pair(vec2(score[c + 4], score[c + 5])), pair(vec2(score[c + 6], score[c + 7])));
    return keep;
}

void multiply_keys(Left q[kFragments]) {
    const uint first = gl_SubgroupID * 16;
    [[unroll]] for (uint n = 0; n < kRows / 16; ++n) {
        Sums sums = Sums(0.0);
        [[unroll]] for (uint k = 0; k < kFragments; ++k) {
            Right keys;
            coopMatLoad(keys, tile, n * 16 * kStride + k * 2, kStride,
                        gl_CooperativeMatrixLayoutColumnMajor);
            sums = coopMatMulAdd(q[k], keys, sums);
        }
        coopMatStore(sums, scores, first * kScoreStride + n * 16, kScoreStride,
                     gl_CooperativeMatrixLayoutRowMajor);
    }
}

// `keep` of each query lies in 16 columns of `scores`.
void add_values(inout Sums acc[kFragments]) {
    const uint first = gl_SubgroupID * 16;
    Sums keep;
    coopMatLoad(keep, scores, first * kScoreStride, kScoreStride,
                gl_CooperativeMatrixLayoutRowMajor);
    [[unroll]] for (uint d = 0; d < kFragments; ++d)
        for (uint e = 0; e < keep.length(); ++e)
            acc[d][e] *= keep[e];
    [[unroll]] for (uint k = 0; k < kRows / 16; ++k) {
        Left weight;
        coopMatLoad(weight, weights, first * kWeightStride + k * 2, kWeightStride,
                    gl_CooperativeMatrixLayoutRowMajor);
        [[unroll]] for (uint d = 0; d < kFragments; ++d) {
            Right values;
            coopMatLoad(values, tile, k * 16 * kStride + d * 2, kStride,
                        gl_CooperativeMatrixLayoutRowMajor);
            acc[d] = coopMatMulAdd(weight, values, acc[d]);
        }
    }
}

// The next sequence after `last` among the queries, and which of its keys they see.
int choose_sequence(AttentionTable t, int last, int sequence, inout Query query) {
    barrier();
    if (gl_LocalInvocationID.x == 0) {
        next = kNoSequence;
        lowest = kNoSequence;
        highest = 0;
    }
    barrier();
    if (sequence > last) atomicMin(next, sequence);
    barrier();
    const int chosen = next;
    query.low = query.high = 0;
    if (chosen != kNoSequence && sequence == chosen) {
        query.high = clamp(I32(t.lengths).v[chosen], 0, int(t.page_columns * t.page_size));
        if (t.window > 0)
            query.low = max(0, query.position - int(min(t.window, 0x7fffffffu)) + 1);
        if (t.causal != 0) query.high = min(query.high, query.position + 1);
        if (query.low < query.high) {
            atomicMin(lowest, query.low);
            atomicMax(highest, query.high);
        }
    }
    barrier();
    return chosen;
}

// Sets `of_thread` to the factor of each query's result, sinks included.
void finish(AttentionTable t, Query query, uint head) {
    const uint i = gl_LocalInvocationID.x;
    subgroupBarrier();
    of_thread[i] = query.sum;
    subgroupBarrier();
    float sum = query.sum + of_thread[i ^ 1], factor = 0.0;
    subgroupBarrier();
    if (query.top != -kInf) {
        factor = 1.0 / sum;
        if (t.sinks != 0) {
            const float sink = F32(t.sinks).v[head], peak = max(query.top, sink);
            const float keep = exp(query.top - peak);
            factor = keep / (sum * keep + exp(sink - peak));
        }
    }
    of_thread[i] = factor;
}

void main() {
    const uint i = gl_LocalInvocationID.x, lane = gl_SubgroupInvocationID;
    const uint first = gl_WorkGroupID.x * kRows, head = gl_WorkGroupID.y, own = gl_SubgroupID * 16;
    const AttentionTable t = Table(p.table).t;
    const uint token = min(first + i / 2, p.tokens - 1);
    int sequence = I32(t.sequences).v[token];
    if (first + i / 2 >= p.tokens || sequence >= int(p.sequences)) sequence = -1;
    Query query = Query(I32(t.positions).v[token], 0, 0, 0.0, -kInf, 0.0);
    if (t.slopes != 0) query.slope = F32(t.slopes).v[head];

    load_q(first, head);
    barrier();
    Left q[kFragments];
    Sums acc[kFragments];
    [[unroll]] for (uint k = 0; k < kFragments; ++k) {
        coopMatLoad(q[k], tile, own * kStride + k * 2, kStride, gl_CooperativeMatrixLayoutRowMajor);
        acc[k] = Sums(0.0);
    }
    const uint64_t keys = p.k + uint64_t(head / p.group) * p.k_head * 2;
    const uint64_t values = p.v + uint64_t(head / p.group) * p.v_head * 2;
    for (int chosen = choose_sequence(t, -1, sequence, query); chosen != kNoSequence;
         chosen = choose_sequence(t, chosen, sequence, query)) {
        const int end = highest;
        for (int begin = lowest; begin < end; begin += int(kRows)) {
            barrier();
            if (i < kRows)
                cells[i] = begin + int(i) < end ? cell_of(t, uint(chosen), begin + int(i)) : kNoCell;
            barrier();
            load_rows(keys, p.k_cell);
            barrier();
            multiply_keys(q);
            barrier();
            load_rows(values, p.v_cell);
            const float keep = weigh(query, begin);
            subgroupBarrier();
            [[unroll]] for (uint c = 0; c < 8; ++c)
                scores[i / 2 * kScoreStride + i % 2 * 8 + c] = keep;
            barrier();
            add_values(acc);
        }
    }
    finish(t, query, head);
    [[unroll]] for (uint d = 0; d < kFragments; ++d) {
        subgroupBarrier();
        coopMatStore(acc[d], scores, own * kScoreStride, kScoreStride,
                     gl_CooperativeMatrixLayoutRowMajor);
        subgroupBarrier();
        for (uint e = lane; e < 256; e += gl_SubgroupSize) {
            const uint row = own + e / 16, factor_at = row * 2;
            if (first + row >= p.tokens) continue;
            const float factor = of_thread[factor_at];
            F32(p.y + (uint64_t(first + row) * p.heads + head) * HEAD * 4).v[d * 16 + e % 16] =
                factor == 0.0 ? 0.0 : scores[row * kScoreStride + e % 16] * factor;
        }
    }
}
