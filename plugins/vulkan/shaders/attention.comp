// ATTENTION, plain form: a workgroup for a token, a query head, a part of the keys and 256 columns of
// the result. Online softmax over chunks of 64 keys: a thread makes one score, then its columns.
#version 460
#include "common.glsl"
#include "keys.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint kTypeK = 0;
layout(constant_id = 1) const uint kTypeV = 0;
layout(constant_id = 2) const bool kWide = false; // F16 rows of 8 n elements at 16 n bytes
layout(push_constant) uniform Push { AttentionParams p; };

const uint kChunk = 64, kColumnsOfThread = 4, kColumns = kChunk * kColumnsOfThread;
shared float scores[kChunk];
shared uint cells[kChunk]; // kNoCell: not seen
shared float reduced[kChunk];
const uint kBatch = 16; // keys whose values are under way together; divides kChunk

uint unit(uint type) { return type == kF32 ? 4u : 2u; }

float load_cache(uint type, uint64_t row, uint i) {
    if (type == kQ4_0) {
        U16 block = U16(row + uint64_t(i / 32) * 18);
        const uint pair = uint(block.v[1 + i % 16 / 2]) >> (8 * (i & 1) + i % 32 / 16 * 4);
        return half_to_float(uint(block.v[0])) * (float(pair & 15u) - 8.0);
    }
    if (type != kQ8_0) return load_plain(type, row, i);
    U16 block = U16(row + uint64_t(i / 32) * 34);
    const uint pair = uint(block.v[1 + i % 32 / 2]);
    return half_to_float(uint(block.v[0])) * float(signed_byte(pair, i & 1));
}

float score_of(AttentionTable t, uint token, uint head, uint cell, int distance) {
    const uint64_t q = p.q + (uint64_t(token) * p.q_token + uint64_t(head) * p.q_head) * 4;
    const uint64_t k = p.k + (uint64_t(cell) * p.k_cell + uint64_t(head / p.group) * p.k_head) *
                                 unit(kTypeK);
    float sum = 0.0;
    if (kWide) {
        [[unroll]] for (uint i = 0; i < p.dk / 8; ++i) {
            const uvec4 eight = U32x4(k).v[i];
            [[unroll]] for (uint j = 0; j < 4; ++j)
                sum += dot(F32x2(q).v[i * 4 + j], unpackHalf2x16(eight[j]));
        }
    } else {
        for (uint i = 0; i < p.dk; ++i)
            sum += F32(q).v[i] * load_cache(kTypeK, k, i);
    }
    float score = p.scale * sum;
    if (p.softcap > 0.0) score = p.softcap * tanh_safe(score / p.softcap);
    if (t.slopes != 0) score += F32(t.slopes).v[head] * float(distance);
    return score;
}

float reduce(bool maximum) {
    const uint i = gl_LocalInvocationID.x;
    for (uint n = kChunk / 2; n > 0; n >>= 1) {
        if (i < n)
            reduced[i] = maximum ? max(reduced[i], reduced[i + n]) : reduced[i] + reduced[i + n];
        barrier();
    }
    const float result = reduced[0];
    barrier();
    return result;
}

// Column c (0..3) of this thread: two neighbours at a time where rows are wide.
uint column_of(uint first, uint c) {
    const uint i = gl_LocalInvocationID.x;
    return first + (kWide ? c / 2 * 2 * kChunk + 2 * i + c % 2 : c * kChunk + i);
}

// Values of kBatch keys from n on, by their weights. Loads come first, so that they are under way
// together; a key without a cell reads cell 0 and counts nothing.
void add_values(inout float acc[kColumnsOfThread], uint n, uint head, uint column) {
    const uint pieces = kWide ? 2 : kColumnsOfThread;
    for (uint piece = 0; piece < pieces; ++piece) {
        const uint at = column_of(column, kWide ? piece * 2 : piece);
        if (at >= p.dv) break;
        vec2 values[kBatch];
        [[unroll]] for (uint b = 0; b < kBatch; ++b) {
            const uint cell = cells[n + b] == kNoCell ? 0 : cells[n + b];
            const uint64_t v =
                p.v + (uint64_t(cell) * p.v_cell + uint64_t(head) * p.v_head) * unit(kTypeV);
            if (kWide) values[b] = unpackHalf2x16(U32(v).v[at / 2]);
            else values[b] = vec2(load_cache(kTypeV, v, at), 0.0);
        }
        [[unroll]] for (uint b = 0; b < kBatch; ++b) {
            if (cells[n + b] == kNoCell) continue;
            const vec2 term = scores[n + b] * values[b];
            if (kWide) {
                acc[piece * 2] += term.x;
                acc[piece * 2 + 1] += term.y;
            } else {
                acc[piece] += term.x;
            }
        }
    }
}

void main() {
    const uint i = gl_LocalInvocationID.x, head = gl_WorkGroupID.y;
    const uint split = gl_WorkGroupID.z % p.splits, column = gl_WorkGroupID.z / p.splits * kColumns;
    const AttentionTable t = Table(p.table).t;
    for (uint token = gl_WorkGroupID.x; token < p.tokens; token += gl_NumWorkGroups.x) {
        const int position = I32(t.positions).v[token], sequence = I32(t.sequences).v[token];
        const bool known = sequence >= 0 && uint(sequence) < p.sequences;
        int length = 0;
        if (known)
            length = clamp(I32(t.lengths).v[sequence], 0, int(t.page_columns * t.page_size));
        const int chunks = (length + int(kChunk) - 1) / int(kChunk);
        const int part = (chunks + int(p.splits) - 1) / int(p.splits) * int(kChunk);
        int low = int(split) * part, high = min(low + part, length);
        if (t.window > 0) low = max(low, position - int(min(t.window, 0x7fffffffu)) + 1);
        if (t.causal != 0) high = min(high, position + 1);
        float top = -kInf, sum = 0.0;
        float acc[kColumnsOfThread];
        for (uint c = 0; c < kColumnsOfThread; ++c)
            acc[c] = 0.0;
        for (int begin = low; begin < high; begin += int(kChunk)) {
            const int key = begin + int(i);
            uint cell = kNoCell;
            if (key < high) cell = cell_of(t, uint(sequence), key);
            float score = -kInf;
            if (cell != kNoCell) score = score_of(t, token, head, cell, key - position);
            cells[i] = cell;
            reduced[i] = score;
            barrier();
            const float peak = max(top, reduce(true));
            const float weight = cell == kNoCell || peak == -kInf ? 0.0 : exp(score - peak);
            const float keep = top == -kInf ? 0.0 : exp(top - peak);
            scores[i] = weight;
            reduced[i] = weight;
            barrier();
            sum = sum * keep + reduce(false);
            top = peak;
            for (uint c = 0; c < kColumnsOfThread; ++c)
                acc[c] *= keep;
            const uint keys = uint(min(high - begin, int(kChunk)));
            for (uint n = 0; n < keys; n += kBatch)
                add_values(acc, n, head / p.group, column);
            barrier();
        }
        const uint row = token * p.heads + head;
        float factor = 1.0;
        uint64_t y = p.y + uint64_t(row) * p.dv * 4;
        if (p.splits > 1) {
            // (max, sum, result without the division), joined by attention_combine.comp.
            y = p.y + (uint64_t(split) * p.tokens * p.heads + row) * (p.dv + 2) * 4;
            if (i == 0 && column == 0) {
                F32(y).v[0] = top;
                F32(y).v[1] = sum;
            }
            y += 8;
        } else {
            if (t.sinks != 0 && top != -kInf) {
                const float sink = F32(t.sinks).v[head], peak = max(top, sink);
                const float keep = exp(top - peak);
                factor = keep / (sum * keep + exp(sink - peak));
            } else {
                factor = top == -kInf ? 0.0 : 1.0 / sum;
            }
        }
        for (uint c = 0; c < kColumnsOfThread; ++c) {
            const uint at = column_of(column, c);
            if (at < p.dv) F32(y).v[at] = factor == 0.0 ? 0.0 : acc[c] * factor;
        }
    }
}
