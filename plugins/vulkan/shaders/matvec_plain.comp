// MATMUL of up to 8 vectors with a matrix of type kType: 32 threads for a row of w.
#version 460
#include "common.glsl"

const uint kRowsOfGroup = 4, kLanes = 32;
layout(local_size_x = 128) in;
layout(constant_id = 0) const uint kColumns = 1;
layout(constant_id = 1) const uint kType = 0;
layout(push_constant) uniform Push { MatmulParams p; };

shared float partial[8][128];

void main() {
    const uint lane = gl_LocalInvocationID.x % kLanes, part = gl_LocalInvocationID.x / kLanes;
    const uint self = gl_LocalInvocationID.x;
    for (uint first = gl_WorkGroupID.x * kRowsOfGroup; first < p.n;
         first += gl_NumWorkGroups.x * kRowsOfGroup) {
        const uint row = first + part;
        float sums[8] = float[8](0, 0, 0, 0, 0, 0, 0, 0);
        if (row < p.n) {
            const uint64_t w = p.w.plane[0] + uint64_t(row) * p.w.stride * plain_size(kType);
            for (uint i = lane; i < p.k; i += kLanes) {
                const float value = load_plain(kType, w, i);
                [[unroll]] for (uint c = 0; c < kColumns; ++c)
                    sums[c] += value * F32(row_address(p.x, p.n1, p.n2, c, 4)).v[i];
            }
        }
        [[unroll]] for (uint c = 0; c < kColumns; ++c)
            partial[c][self] = sums[c];
        barrier();
        for (uint n = kLanes / 2; n > 0; n >>= 1) {
            if (lane < n)
                [[unroll]] for (uint c = 0; c < kColumns; ++c)
                    partial[c][self] += partial[c][self + n];
            barrier();
        }
        if (lane < kColumns && row < p.n) {
            float value = partial[lane][part * kLanes];
            if (p.add != 0) value += F32(p.add + uint64_t(lane) * p.add_stride * 4).v[row];
            F32(p.y + uint64_t(lane) * p.n * 4).v[row] = value;
        }
        barrier();
    }
}
