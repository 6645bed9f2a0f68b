// ATTENTION of a few tokens over cached F16 keys and values: a workgroup for a token, one or two query
// heads of one key head, and every kSplits-th block of the keys. kLanes threads, a team, read a key's row
// 16 bytes each and keep the softmax and their eight columns of the result to themselves, so that
// nothing waits for another team until the end. The last workgroup of a token and its heads joins the
// parts. Waiting for memory is what takes the time, so loads that do not need each other go together.
#version 460
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "common.glsl"
#include "chain.glsl"
#include "keys.glsl"

const uint kThreads = 256;
layout(local_size_x = kThreads) in;
layout(constant_id = 0) const uint kDepth = 64;  // of keys and values; a multiple of 8
layout(constant_id = 1) const uint kLanes = 8;   // a power of two, kDepth / 8 or more
layout(constant_id = 2) const uint kQueries = 1; // heads of a workgroup
layout(constant_id = 3) const uint kBatch = 4;   // keys in flight for each team
layout(constant_id = 4) const uint kHeads = 1;   // of q
layout(constant_id = 5) const uint kGroup = 1;   // of them for a key head
layout(constant_id = 6) const uint kTokenQ = 0;  // strides in elements
layout(constant_id = 7) const uint kHeadQ = 0;
layout(constant_id = 8) const uint kCellK = 0;
layout(constant_id = 9) const uint kHeadK = 0;
layout(constant_id = 10) const uint kCellV = 0;
layout(constant_id = 11) const uint kHeadV = 0;
layout(constant_id = 12) const uint kPageSize = 1;
layout(constant_id = 13) const uint kPages = 1; // of a sequence
layout(constant_id = 14) const uint kSequences = 1;
layout(constant_id = 15) const uint kCells = 1;
layout(constant_id = 16) const int kWindow = 0;
layout(constant_id = 17) const bool kCausal = false;
layout(push_constant) uniform Push { AttentionDecodeParams p; };

// Parts pass between workgroups, so they must not stay in a cache of one core.
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Parts { coherent float v[]; };

const uint kMostParts = 64; // kDecodeSplits of plan/choose.h
const uint kTogether = 8;   // parts whose columns are under way together
const uint kTeams = kThreads / kLanes, kStep = kTeams * kBatch;
shared float results[kTeams * kQueries * kDepth];
shared float tops[kTeams * kQueries], sums[kTeams * kQueries];
shared float part_tops[kMostParts * kQueries], part_sums[kMostParts * kQueries];
shared float exchanged[kThreads];
shared uint arrived;

float q[kQueries][8], acc[kQueries][8], top[kQueries], total[kQueries];
uint cells[kBatch];
uvec4 keys[kBatch], values[kBatch];
float scores[kBatch];

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

void load_queries(uint token, uint first, uint last, uint lane) {
    const uint at = min(lane, kDepth / 8 - 1);
    const float scale = lane * 8 < kDepth ? p.scale : 0.0;
    [[unroll]] for (uint h = 0; h < kQueries; ++h) {
        FreshF32x4 row = FreshF32x4(p.q + (uint64_t(token) * kTokenQ + min(first + h, last) * kHeadQ) * 4);
        [[unroll]] for (uint j = 0; j < 8; ++j) {
            q[h][j] = row.v[at * 2 + j / 4][j % 4] * scale;
            acc[h][j] = 0.0;
        }
        top[h] = -kInf;
        total[h] = 0.0;
    }
}

// Cells of a team's keys of the block that begins at `key`; no cell where the sequence has no page.
void find_cells(uint sequence, uint key) {
    [[unroll]] for (uint b = 0; b < kBatch; ++b) {
        const uint at = key + b * kTeams, column = min(at / kPageSize, kPages - 1);
        const int page = I32(p.pages).v[sequence * kPages + column];
        const uint cell = uint(page) * kPageSize + at % kPageSize;
        cells[b] = page < 0 || at / kPageSize >= kPages || cell >= kCells ? kNoCell : cell;
    }
}

float score_of(float product, uint head, int distance) {
    float score = product;
    if (p.softcap > 0.0) score = p.softcap * tanh_safe(score / p.softcap);
    if (p.slopes != 0) score += F32(p.slopes).v[head] * float(distance);
    return score;
}

void score_keys(uint h, uint head, int key, int position, int low, int high) {
    [[unroll]] for (uint b = 0; b < kBatch; ++b) {
        float sum = 0.0;
        [[unroll]] for (uint j = 0; j < 4; ++j) {
            const vec2 two = unpackHalf2x16(keys[b][j]);
            sum = fma(q[h][2 * j], two.x, fma(q[h][2 * j + 1], two.y, sum));
        }
        const int at = key + int(b * kTeams);
        const float score = score_of(sum_of_team(sum), head, at - position);
        scores[b] = cells[b] != kNoCell && at >= low && at < high ? score : -kInf;
    }
}

// Adds a team's kBatch keys to its sums of query h.
void add_keys(uint h) {
    float peak = top[h];
    [[unroll]] for (uint b = 0; b < kBatch; ++b)
        peak = max(peak, scores[b]);
    if (peak == -kInf) return;
    const float keep = exp(top[h] - peak);
    top[h] = peak;
    total[h] *= keep;
    [[unroll]] for (uint j = 0; j < 8; ++j)
        acc[h][j] *= keep;
    [[unroll]] for (uint b = 0; b < kBatch; ++b) {
        const float weight = exp(scores[b] - peak);
        total[h] += weight;
        // A cell that no key of the sequence has may hold anything, so weight 0 is not enough.
        if (scores[b] == -kInf) continue;
        [[unroll]] for (uint j = 0; j < 4; ++j) {
            const vec2 two = unpackHalf2x16(values[b][j]);
            acc[h][2 * j] = fma(weight, two.x, acc[h][2 * j]);
            acc[h][2 * j + 1] = fma(weight, two.y, acc[h][2 * j + 1]);
        }
    }
}

// Row: of a token and a head.
void write_result(uint row, uint column, float peak, float sum, float value) {
    float keep = 1.0;
    if (p.sinks != 0 && peak > -kInf) {
        const float sink = F32(p.sinks).v[row % kHeads], greater = max(peak, sink);
        keep = exp(peak - greater);
        sum = sum * keep + exp(sink - greater);
    }
    FreshF32(p.y + uint64_t(row) * kDepth * 4).v[column] =
        peak == -kInf ? 0.0 : value * keep / sum;
}

uint64_t part_of(uint split, uint row) {
    return p.parts + (uint64_t(split * p.tokens * kHeads) + row) * (kDepth + 2) * 4;
}

// The teams of a subgroup as one, in all of its threads; returns how many they were.
uint merge_subgroup() {
    if (!shuffles()) return 1;
    for (uint n = kLanes; n < gl_SubgroupSize; n *= 2)
        [[unroll]] for (uint h = 0; h < kQueries; ++h) {
            const float other = subgroupShuffleXor(top[h], n), peak = max(top[h], other);
            const float keep = top[h] == -kInf ? 0.0 : exp(top[h] - peak);
            const float gain = other == -kInf ? 0.0 : exp(other - peak);
            top[h] = peak;
            total[h] = total[h] * keep + subgroupShuffleXor(total[h], n) * gain;
            [[unroll]] for (uint j = 0; j < 8; ++j)
                acc[h][j] = acc[h][j] * keep + subgroupShuffleXor(acc[h][j], n) * gain;
        }
    return gl_SubgroupSize / kLanes;
}

// The teams' results as one: to y, or as a part (top, sum, columns) for the join.
void merge(uint token, uint split, uint first, uint last) {
    const uint merged = merge_subgroup(), lane = self() % kLanes;
    const uint team = self() / kLanes, teams = kTeams / merged;
    if (team % merged == 0)
        [[unroll]] for (uint h = 0; h < kQueries; ++h) {
            const uint at = team / merged * kQueries + h;
            if (lane == 0) {
                tops[at] = top[h];
                sums[at] = total[h];
            }
            if (lane * 8 < kDepth)
                [[unroll]] for (uint j = 0; j < 8; ++j)
                    results[at * kDepth + lane * 8 + j] = acc[h][j];
        }
    barrier();
    for (uint i = self(); i < kQueries * kDepth; i += kThreads) {
        const uint h = i / kDepth, column = i % kDepth, row = token * kHeads + first + h;
        if (first + h > last) break;
        float peak = -kInf, sum = 0.0, value = 0.0;
        for (uint n = 0; n < teams; ++n)
            peak = max(peak, tops[n * kQueries + h]);
        for (uint n = 0; n < teams && peak > -kInf; ++n) {
            const float keep = exp(tops[n * kQueries + h] - peak);
            sum += sums[n * kQueries + h] * keep;
            value += results[(n * kQueries + h) * kDepth + column] * keep;
        }
        if (p.splits == 1) {
            write_result(row, column, peak, sum, value);
            continue;
        }
        Parts part = Parts(part_of(split, row));
        if (column == 0) {
            part.v[0] = peak;
            part.v[1] = sum;
        }
        part.v[2 + column] = value;
    }
}

// Tops and sums of all parts first, then the columns, kTogether parts at a time.
void join(uint token, uint first, uint last) {
    for (uint i = self(); i < p.splits * kQueries; i += kThreads) {
        Parts part = Parts(part_of(i % p.splits, token * kHeads + min(first + i / p.splits, last)));
        part_tops[i] = part.v[0];
        part_sums[i] = part.v[1];
    }
    barrier();
    for (uint i = self(); i < kQueries * kDepth; i += kThreads) {
        const uint h = i / kDepth, column = i % kDepth, begin = h * p.splits;
        const uint row = token * kHeads + first + h;
        if (first + h > last) break;
        float peak = -kInf, sum = 0.0, value = 0.0;
        for (uint s = 0; s < p.splits; ++s)
            peak = max(peak, part_tops[begin + s]);
        for (uint s = 0; s < p.splits && peak > -kInf; s += kTogether) {
            float columns[kTogether];
            [[unroll]] for (uint n = 0; n < kTogether; ++n)
                columns[n] = Parts(part_of(min(s + n, p.splits - 1), row)).v[2 + column];
            [[unroll]] for (uint n = 0; n < kTogether; ++n) {
                const uint at = begin + min(s + n, p.splits - 1);
                const float keep = s + n < p.splits ? exp(part_tops[at] - peak) : 0.0;
                sum += part_sums[at] * keep;
                value += columns[n] * keep;
            }
        }
        write_result(row, column, peak, sum, value);
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
    const uint pieces = (kGroup + kQueries - 1) / kQueries; // of a key head's queries
    const uint key_head = gl_WorkGroupID.y / pieces, split = gl_WorkGroupID.z;
    const uint first = key_head * kGroup + gl_WorkGroupID.y % pieces * kQueries;
    const uint last = min(first + kQueries, (key_head + 1) * kGroup) - 1;
    const uint token = gl_WorkGroupID.x, lane = self() % kLanes, team = self() / kLanes;
    const int sequence = I32(p.sequences).v[token], position = I32(p.positions).v[token];
    const bool known = sequence >= 0 && uint(sequence) < kSequences;
    const uint row = kSequences == 1 || !known ? 0 : uint(sequence);
    if (kWindow == 0) find_cells(row, split * kStep + team);
    int high = known ? clamp(I32(p.lengths).v[row], 0, int(kPages * kPageSize)) : 0;
    if (kCausal) high = min(high, position + 1);
    const int low = kWindow > 0 ? max(0, position - kWindow + 1) : 0;
    const int begin = (low / int(kStep) + int(split)) * int(kStep), stride = int(p.splits * kStep);
    if (kWindow > 0) find_cells(row, uint(begin) + team);
    if (!chain_begin(p.link)) return;
    load_queries(token, first, last, lane);
    const uint at = min(lane, kDepth / 8 - 1);
    const uint64_t k = p.k + key_head * kHeadK * 2 + at * 16;
    const uint64_t v = p.v + key_head * kHeadV * 2 + at * 16;
    [[dont_unroll]] for (int block = begin; block < high; block += stride) {
        uint64_t cell;
        [[unroll]] for (uint b = 0; b < kBatch; ++b) {
            cell = cells[b] == kNoCell ? 0 : cells[b];
            keys[b] = U32x4(k + cell * (kCellK * 2)).v[0];
            values[b] = U32x4(v + cell * (kCellV * 2)).v[0];
        }
        [[unroll]] for (uint h = 0; h < kQueries; ++h) {
            score_keys(h, min(first + h, last), block + int(team), position, low, high);
            add_keys(h);
        }
        find_cells(row, uint(block + stride) + team);
    }
    merge(token, split, first, last);
    if (p.splits > 1 && is_last(token * gl_NumWorkGroups.y + gl_WorkGroupID.y))
        join(token, first, last);
    chain_end(p.link);
}
