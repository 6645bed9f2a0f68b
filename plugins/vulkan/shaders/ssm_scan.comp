// SSM_SCAN: 16 threads for each element of a head, which take the rows in their order and share the
// elements of its state.
#version 460
#include "common.glsl"

const uint kThreads = 256, kLanes = 16, kTeams = kThreads / kLanes;
layout(local_size_x = kThreads) in;
layout(constant_id = 0) const uint kStates = 1; // sequences
layout(constant_id = 1) const uint kHeads = 1;
layout(constant_id = 2) const uint kWidth = 1;
layout(constant_id = 3) const uint kSize = 1;
layout(constant_id = 4) const uint kHeadsOfGroup = 1;
layout(constant_id = 5) const bool kOneRate = false; // a is [H, 1]
layout(constant_id = 6) const uint kStateSequence = 1; // strides
layout(constant_id = 7) const uint kStateHead = 1;
layout(constant_id = 8) const uint kStateRow = 1;
layout(constant_id = 9) const uint kXToken = 1;
layout(constant_id = 10) const uint kXHead = 1;
layout(constant_id = 11) const uint kDtToken = 1;
layout(constant_id = 12) const uint kAHead = 1;
layout(constant_id = 13) const uint kBToken = 1;
layout(constant_id = 14) const uint kBGroup = 1;
layout(constant_id = 15) const uint kCToken = 1;
layout(constant_id = 16) const uint kCGroup = 1;
layout(push_constant) uniform Push { SsmScanParams p; };

shared float shares[kThreads];

// ln(1 + e^x) = max(x, 0) + ln(1 + e), e = e^-|x|; the logarithm as 2 artanh(e / (2 + e)), whose series
// keeps small results. The argument is at most 1/3: the first term left out is below 2e-7 of the sum.
float softplus(float x) {
    const float e = exp(-abs(x)), z = e / (2.0 + e), s = z * z;
    const float series =
        1.0 + s * (1.0 / 3.0 +
                   s * (1.0 / 5.0 + s * (1.0 / 7.0 + s * (1.0 / 9.0 + s * (1.0 / 11.0)))));
    return max(x, 0.0) + 2.0 * z * series;
}

F32 row_of(uint64_t base, uint i, uint i_stride, uint j, uint j_stride) {
    return F32(base + (uint64_t(i) * i_stride + uint64_t(j) * j_stride) * 4);
}

// This thread's share of the sum over the state; the state moves on.
float share_of(uint t, uint sequence, uint head, uint row, uint lane, float x) {
    const float delta = softplus(row_of(p.dt, t, kDtToken, head, 1).v[0]);
    const bool begins = I32(p.positions).v[t] == 0;
    const uint group = head / kHeadsOfGroup;
    F32 a = row_of(p.a, head, kAHead, 0, 0);
    F32 b = row_of(p.b, t, kBToken, group, kBGroup), c = row_of(p.c, t, kCToken, group, kCGroup);
    F32 state = row_of(p.state + uint64_t(sequence) * kStateSequence * 4, head, kStateHead, row,
                       kStateRow);
    float sum = 0.0;
    for (uint n = lane; n < kSize; n += kLanes) {
        const float old = begins ? 0.0 : state.v[n];
        const float value = exp(delta * a.v[kOneRate ? 0 : n]) * old + delta * b.v[n] * x;
        state.v[n] = value;
        sum += value * c.v[n];
    }
    return sum;
}

void main() {
    const uint self = gl_LocalInvocationID.x, lane = self % kLanes, team = self / kLanes;
    const uint total = kHeads * kWidth, step = gl_NumWorkGroups.x * kTeams;
    for (uint first = gl_WorkGroupID.x * kTeams; first < total; first += step) {
        const bool there = first + team < total;
        const uint head = (first + team) / kWidth, row = (first + team) % kWidth;
        for (uint t = 0; t < p.tokens; ++t) {
            const int sequence = I32(p.sequences).v[t];
            const bool known = there && sequence >= 0 && uint(sequence) < kStates;
            float x = 0.0, share = 0.0;
            if (known) {
                x = row_of(p.x, t, kXToken, head, kXHead).v[row];
                share = share_of(t, uint(sequence), head, row, lane, x);
            }
            shares[self] = share;
            barrier();
            for (uint n = kLanes / 2; n > 0; n >>= 1) {
                if (lane < n) shares[self] += shares[self + n];
                barrier();
            }
            if (lane == 0 && there) {
                const float skip = known && p.d != 0 ? F32(p.d).v[head] * x : 0.0;
                F32(p.y + uint64_t(t) * total * 4).v[first + team] = shares[self] + skip;
            }
            barrier();
        }
    }
}
