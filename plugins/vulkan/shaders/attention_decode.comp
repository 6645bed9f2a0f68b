// ATTENTION of a few tokens over cached F16 keys and values: a workgroup for a token, up to four query
// heads of one key head, and a part of the keys. kLanes threads, a team, read a key's row 16 bytes
// each and keep the softmax and their eight columns of the result to themselves, so that nothing waits
// for another team until the end. The last workgroup of a token and its heads joins the parts.
#version 460
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "common.glsl"
#include "keys.glsl"

const uint kThreads = 128;
layout(local_size_x = kThreads) in;
layout(constant_id = 0) const uint kDepth = 64;  // of keys and values; a multiple of 8
layout(constant_id = 1) const uint kLanes = 8;   // a power of two, kDepth / 8 or more
layout(constant_id = 2) const uint kQueries = 1; // heads of a workgroup
layout(constant_id = 3) const uint kBatch = 4;   // keys in flight for each team
layout(push_constant) uniform Push { AttentionParams p; };

// Parts pass between workgroups, so they must not stay in a cache of one core.
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Parts { coherent float v[]; };

const uint kMostParts = 64; // kDecodeSplits of plan/choose.h
const uint kTogether = 8;
const uint kTeams = kThreads / kLanes;
shared float results[kTeams * kQueries * kDepth];
shared float tops[kTeams * kQueries], sums[kTeams * kQueries];
shared float exchanged[kThreads];
shared float part_tops[kMostParts * kQueries], part_sums[kMostParts * kQueries];
shared uint arrived;

float q[kQueries][8], acc[kQueries][8], top[kQueries], total[kQueries];

bool shuffles() { return gl_SubgroupSize >= kLanes && gl_NumSubgroups * gl_SubgroupSize == kThreads; }
uint self() {
    return shuffles() ? gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID
                      : gl_LocalInvocationID.x;
}

float sum_of_team(float x) {
    if (shuffles()) {
        [[unroll]] for (uint n = kLanes / 2; n > 0; n >>= 1)
            x += subgroupShuffleXor(x, n);
        return x;
    }
    barrier();
    exchanged[self()] = x;
    barrier();
    float sum = 0.0;
    for (uint i = 0; i < kLanes; ++i)
        sum += exchanged[self() / kLanes * kLanes + i];
    return sum;
}

uint head_of(uint first, uint h, uint last) { return min(first + h, last); }

void load_queries(uint token, uint first, uint last, uint lane) {
    [[unroll]] for (uint h = 0; h < kQueries; ++h) {
        const uint head = head_of(first, h, last);
        F32x4 row = F32x4(p.q + (uint64_t(token) * p.q_token + uint64_t(head) * p.q_head) * 4);
        vec4 a = vec4(0.0), b = vec4(0.0);
        if (lane * 8 < kDepth) {
            a = row.v[lane * 2] * p.scale;
            b = row.v[lane * 2 + 1] * p.scale;
        }
        [[unroll]] for (uint j = 0; j < 4; ++j) {
            q[h][j] = a[j];
            q[h][j + 4] = b[j];
            acc[h][j] = acc[h][j + 4] = 0.0;
        }
        top[h] = -kInf;
        total[h] = 0.0;
    }
}

float product(uint h, uvec4 k) {
    float sum = 0.0;
    [[unroll]] for (uint j = 0; j < 4; ++j) {
        const vec2 two = unpackHalf2x16(k[j]);
        sum = fma(q[h][2 * j], two.x, fma(q[h][2 * j + 1], two.y, sum));
    }
    return sum;
}

float score_of(AttentionTable t, float product, uint head, int distance) {
    float score = product;
    if (p.softcap > 0.0) score = p.softcap * tanh_safe(score / p.softcap);
    if (t.slopes != 0) score += F32(t.slopes).v[head] * float(distance);
    return score;
}

// Adds a team's kBatch keys to its sums of query h.
void add_keys(uint h, float scores[kBatch], uvec4 v[kBatch]) {
    float peak = top[h];
    [[unroll]] for (uint b = 0; b < kBatch; ++b)
        peak = max(peak, scores[b]);
    if (peak == -kInf) return;
    const float keep = top[h] == -kInf ? 0.0 : exp(top[h] - peak);
    top[h] = peak;
    total[h] *= keep;
    [[unroll]] for (uint j = 0; j < 8; ++j)
        acc[h][j] *= keep;
    [[unroll]] for (uint b = 0; b < kBatch; ++b) {
        const float weight = scores[b] == -kInf ? 0.0 : exp(scores[b] - peak);
        total[h] += weight;
        // A cell that no key of the sequence has may hold anything, so weight 0 is not enough.
        if (weight > 0.0)
            [[unroll]] for (uint j = 0; j < 4; ++j) {
                const vec2 two = unpackHalf2x16(v[b][j]);
                acc[h][2 * j] = fma(weight, two.x, acc[h][2 * j]);
                acc[h][2 * j + 1] = fma(weight, two.y, acc[h][2 * j + 1]);
            }
    }
}

void find_cells(AttentionTable t, uint sequence, int first, int high, out uint cells[kBatch]) {
    [[unroll]] for (uint b = 0; b < kBatch; ++b) {
        const int key = first + int(b * kTeams);
        cells[b] = key < high ? cell_of(t, sequence, key) : kNoCell;
    }
}

void attend(AttentionTable t, uint sequence, int position, int low, int high, uint first, uint last) {
    const uint lane = self() % kLanes, team = self() / kLanes, key_head = first / p.group;
    const uint at = min(lane, kDepth / 8 - 1);
    const uint64_t k = p.k + uint64_t(key_head) * p.k_head * 2 + at * 16;
    const uint64_t v = p.v + uint64_t(key_head) * p.v_head * 2 + at * 16;
    const int step = int(kTeams * kBatch);
    uint cells[kBatch];
    find_cells(t, sequence, low + int(team), high, cells);
    for (int begin = low; begin < high; begin += step) {
        uvec4 keys[kBatch], values[kBatch];
        bool there[kBatch];
        [[unroll]] for (uint b = 0; b < kBatch; ++b) {
            there[b] = cells[b] != kNoCell;
            const uint64_t cell = there[b] ? cells[b] : 0;
            keys[b] = U32x4(k + cell * p.k_cell * 2).v[0];
            values[b] = U32x4(v + cell * p.v_cell * 2).v[0];
        }
        find_cells(t, sequence, begin + step + int(team), high, cells);
        [[unroll]] for (uint h = 0; h < kQueries; ++h) {
            float scores[kBatch];
            [[unroll]] for (uint b = 0; b < kBatch; ++b) {
                const int distance = begin + int(b * kTeams + team) - position;
                const float sum = sum_of_team(product(h, keys[b]));
                scores[b] = there[b] ? score_of(t, sum, head_of(first, h, last), distance) : -kInf;
            }
            add_keys(h, scores, values);
        }
    }
}

// Row: of a token and a head.
void write_result(AttentionTable t, uint row, uint column, float peak, float sum, float value) {
    float keep = 1.0;
    if (t.sinks != 0 && peak > -kInf) {
        const float sink = F32(t.sinks).v[row % p.heads], greater = max(peak, sink);
        keep = exp(peak - greater);
        sum = sum * keep + exp(sink - greater);
    }
    F32(p.y + uint64_t(row) * kDepth * 4).v[column] = peak == -kInf ? 0.0 : value * keep / sum;
}

// The teams' results as one: to y, or as a part (top, sum, columns) for the join.
void merge(AttentionTable t, uint token, uint split, uint first, uint last) {
    const uint lane = self() % kLanes, team = self() / kLanes;
    [[unroll]] for (uint h = 0; h < kQueries; ++h) {
        if (lane == 0) {
            tops[team * kQueries + h] = top[h];
            sums[team * kQueries + h] = total[h];
        }
        if (lane * 8 < kDepth)
            [[unroll]] for (uint j = 0; j < 8; ++j)
                results[(team * kQueries + h) * kDepth + lane * 8 + j] = acc[h][j];
    }
    barrier();
    for (uint i = self(); i < kQueries * kDepth; i += kThreads) {
        const uint h = i / kDepth, column = i % kDepth, head = first + h;
        if (head > last) break;
        float peak = -kInf, sum = 0.0, value = 0.0;
        for (uint n = 0; n < kTeams; ++n)
            peak = max(peak, tops[n * kQueries + h]);
        for (uint n = 0; n < kTeams && peak > -kInf; ++n) {
            const float keep = exp(tops[n * kQueries + h] - peak);
            sum += sums[n * kQueries + h] * keep;
            value += results[(n * kQueries + h) * kDepth + column] * keep;
        }
        const uint row = token * p.heads + head;
        if (p.splits > 1) {
            Parts part = Parts(p.parts + (uint64_t(split) * p.tokens * p.heads + row) * (kDepth + 2) * 4);
            if (column == 0) {
                part.v[0] = peak;
                part.v[1] = sum;
            }
            part.v[2 + column] = value;
        } else {
            write_result(t, row, column, peak, sum, value);
        }
    }
}

// Tops and sums of all parts first, then the columns, kTogether parts at a time: each wait for memory
// costs more than all the arithmetic.
void join(AttentionTable t, uint token, uint first, uint last) {
    const uint64_t stride = uint64_t(p.tokens * p.heads) * (kDepth + 2) * 4;
    const uint64_t parts = p.parts + uint64_t(token * p.heads + first) * (kDepth + 2) * 4;
    for (uint i = self(); i < p.splits * kQueries; i += kThreads) {
        const uint h = min(i / p.splits, last - first);
        Parts part = Parts(parts + i % p.splits * stride + h * (kDepth + 2) * 4);
        part_tops[i] = part.v[0];
        part_sums[i] = part.v[1];
    }
    barrier();
    for (uint i = self(); i < kQueries * kDepth; i += kThreads) {
        const uint h = i / kDepth, column = i % kDepth, begin = h * p.splits;
        if (first + h > last) break;
        float peak = -kInf, sum = 0.0, value = 0.0;
        for (uint s = 0; s < p.splits; ++s)
            peak = max(peak, part_tops[begin + s]);
        for (uint s = 0; s < p.splits && peak > -kInf; s += kTogether) {
            float values[kTogether];
            [[unroll]] for (uint n = 0; n < kTogether; ++n)
                values[n] = Parts(parts + min(s + n, p.splits - 1) * stride +
                                  h * (kDepth + 2) * 4).v[2 + column];
            [[unroll]] for (uint n = 0; n < kTogether; ++n) {
                const uint at = begin + min(s + n, p.splits - 1);
                const float keep = s + n < p.splits ? exp(part_tops[at] - peak) : 0.0;
                sum += part_sums[at] * keep;
                value += values[n] * keep;
            }
        }
        write_result(t, token * p.heads + first + h, column, peak, sum, value);
    }
}

// Whether all other workgroups of this token and these heads have written their parts.
bool is_last(uint index) {
    memoryBarrierBuffer();
    barrier();
    if (self() == 0) {
        U32 counter = U32(p.counters);
        arrived = atomicAdd(counter.v[index], 1);
        if (arrived + 1 == p.splits) counter.v[index] = 0; // for the next submission
    }
    barrier();
    memoryBarrierBuffer();
    return arrived + 1 == p.splits;
}

void main() {
    const AttentionTable t = Table(p.table).t;
    const uint pieces = (p.group + kQueries - 1) / kQueries; // of a key head's queries
    const uint key_head = gl_WorkGroupID.y / pieces, split = gl_WorkGroupID.z;
    const uint first = key_head * p.group + gl_WorkGroupID.y % pieces * kQueries;
    const uint last = min(first + kQueries, (key_head + 1) * p.group) - 1;
    const uint token = gl_WorkGroupID.x;
    const int position = I32(t.positions).v[token], sequence = I32(t.sequences).v[token];
    int low = 0, high = 0;
    if (sequence >= 0 && uint(sequence) < p.sequences)
        seen_keys(t, uint(sequence), position, low, high);
    const int step = int(kTeams * kBatch), steps = (max(high - low, 0) + step - 1) / step;
    const int part = (steps + int(p.splits) - 1) / int(p.splits) * step;
    low += int(split) * part;
    load_queries(token, first, last, self() % kLanes);
    attend(t, uint(max(sequence, 0)), position, low, min(low + part, high), first, last);
    merge(t, token, split, first, last);
    if (p.splits > 1 && is_last(token * gl_NumWorkGroups.y + gl_WorkGroupID.y))
        join(t, token, first, last);
}
