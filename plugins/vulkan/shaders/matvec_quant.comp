// MATMUL of up to 8 quantised vectors with a matrix in planes: 32 threads for a row of w, each with
// every 32nd group. Groups of integers are exact; their sums are scaled and added in F32.
#version 460
#include "common.glsl"
#include "dot.glsl"
#include "types/type.glsl"

const uint kRowsOfGroup = 4, kLanes = 32;
layout(local_size_x = 128) in;
layout(constant_id = 0) const uint kColumns = 1;
layout(push_constant) uniform Push { MatvecQuantParams p; };

shared float partial[8][128];

void main() {
    const uint lane = gl_LocalInvocationID.x % kLanes, part = gl_LocalInvocationID.x / kLanes;
    const uint self = gl_LocalInvocationID.x;
    for (uint first = gl_WorkGroupID.x * kRowsOfGroup; first < p.n;
         first += gl_NumWorkGroups.x * kRowsOfGroup) {
        const uint row = first + part;
        float sums[8] = float[8](0, 0, 0, 0, 0, 0, 0, 0);
        if (row < p.n) {
            for (uint i = lane; i < p.w.groups; i += kLanes) {
                const uint g = row * p.w.stride + i;
                uvec4 low, high;
                load_quants(p.w, g, low, high);
                const GroupScale scale = load_scale(p.w, g);
                [[unroll]] for (uint c = 0; c < kColumns; ++c) {
                    const uint at = c * p.w.groups + i;
                    const uvec4 xl = U32x4(p.q).v[2 * at], xh = U32x4(p.q).v[2 * at + 1];
                    const vec2 s = F32x2(p.s).v[at];
                    const int dl = dot4(low.x, xl.x) + dot4(low.y, xl.y) + dot4(low.z, xl.z) +
                                   dot4(low.w, xl.w);
                    const int dh = dot4(high.x, xh.x) + dot4(high.y, xh.y) + dot4(high.z, xh.z) +
                                   dot4(high.w, xh.w);
                    sums[c] += s.x * (scale.low * float(dl) + scale.high * float(dh)) -
                               scale.minimum * s.y;
                }
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
