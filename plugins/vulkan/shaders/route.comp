// ROUTE: a workgroup for each token. What can be chosen has a key, larger for a better score; a key of 0
// is taken or closed. NaN comes last.
#version 460
#include "common.glsl"
#include "order.glsl"
#include "reduce.glsl"

const uint kThreads = 256, kSoftmax = 1;
layout(local_size_x = kThreads) in;
layout(constant_id = 0) const uint kExperts = 1;
layout(constant_id = 1) const uint kGroups = 1;
layout(push_constant) uniform Push { RouteParams p; };

shared float probability[kExperts];
shared uint keys[kExperts + kGroups]; // of experts, then of groups
shared uint best_key[kThreads];
shared uint best_index[kThreads];

uint key_of(float score) { return max(order_of(score), 1u); }

float score_of(uint e) {
    return p.bias != 0 ? probability[e] + F32(p.bias).v[e] : probability[e];
}

bool before(uint key_a, uint a, uint key_b, uint b) {
    return key_a > key_b || (key_a == key_b && a < b);
}

// The best of `count` keys from `first` on, the lowest index on a tie. All threads call.
uint best(uint first, uint count) {
    const uint i = gl_LocalInvocationID.x;
    uint key = 0, index = 0;
    barrier();
    for (uint at = i; at < count; at += kThreads)
        if (keys[first + at] > key) {
            key = keys[first + at];
            index = at;
        }
    best_key[i] = key;
    best_index[i] = index;
    barrier();
    for (uint n = kThreads / 2; n > 0; n >>= 1) {
        if (i < n && before(best_key[i + n], best_index[i + n], best_key[i], best_index[i])) {
            best_key[i] = best_key[i + n];
            best_index[i] = best_index[i + n];
        }
        barrier();
    }
    return best_index[0];
}

// The sum of the group_top largest scores of a group.
float score_of_group(uint first, uint size) {
    uint last_key = 0xffffffffu, last = 0;
    float sum = 0.0;
    for (uint round = 0; round < p.group_top; ++round) {
        uint key = 0, index = 0;
        for (uint e = first; e < first + size; ++e) {
            const bool left = round == 0 || before(last_key, last, keys[e], e);
            if (left && keys[e] > key) {
                key = keys[e];
                index = e;
            }
        }
        sum += score_of(index);
        last_key = key;
        last = index;
    }
    return sum;
}

// Takes the keys of all experts outside the best groups.
void close_groups() {
    const uint i = gl_LocalInvocationID.x, size = kExperts / kGroups;
    for (uint g = i; g < kGroups; g += kThreads)
        keys[kExperts + g] = key_of(score_of_group(g * size, size));
    for (uint round = 0; round < p.groups_used; ++round) {
        const uint g = best(kExperts, kGroups);
        if (i == 0) keys[kExperts + g] = 0;
    }
    barrier();
    for (uint e = i; e < kExperts; e += kThreads)
        if (keys[kExperts + e / size] != 0) keys[e] = 0;
}

void find_probabilities(F32 logits) {
    const uint i = gl_LocalInvocationID.x;
    if (p.gating != kSoftmax) {
        for (uint e = i; e < kExperts; e += kThreads)
            probability[e] = 1.0 / (1.0 + exp(-logits.v[e]));
        return;
    }
    float most = -kInf, sum = 0.0;
    for (uint e = i; e < kExperts; e += kThreads)
        most = max(most, logits.v[e]);
    most = reduce_max(most);
    for (uint e = i; e < kExperts; e += kThreads) {
        probability[e] = most == -kInf ? 0.0 : exp(logits.v[e] - most);
        sum += probability[e];
    }
    sum = reduce_sum(sum);
    for (uint e = i; e < kExperts; e += kThreads)
        probability[e] = sum == 0.0 ? 0.0 : probability[e] / sum;
}

void main() {
    const uint i = gl_LocalInvocationID.x;
    for (uint row = gl_WorkGroupID.x; row < p.rows; row += gl_NumWorkGroups.x) {
        barrier();
        find_probabilities(F32(p.logits + uint64_t(row) * p.stride * 4));
        barrier();
        for (uint e = i; e < kExperts; e += kThreads)
            keys[e] = key_of(score_of(e));
        barrier();
        if (kGroups > 1) close_groups();
        F32 weights = F32(p.weights + uint64_t(row) * p.k * 4);
        float sum = 0.0;
        for (uint round = 0; round < p.k; ++round) {
            const uint e = best(0, kExperts);
            sum += probability[e];
            if (i != 0) continue;
            keys[e] = 0;
            weights.v[round] = probability[e];
            I32(p.experts).v[row * p.k + round] = int(e);
        }
        if (i != 0) continue;
        const float divisor = p.normalise != 0 ? sum : 1.0;
        const float factor = divisor == 0.0 ? 0.0 : p.scale / divisor;
        for (uint round = 0; round < p.k; ++round)
            weights.v[round] *= factor;
    }
}
