// WEIGHTED_SUM: a thread makes one element.
#version 460
#include "common.glsl"

layout(local_size_x = 256) in;
layout(push_constant) uniform Push { WeightedSumParams p; };

void main() {
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < p.total; i += step) {
        const uint token = i / p.inner, at = i % p.inner;
        F32 weights = F32(p.weights + uint64_t(token) * p.w_token * 4);
        uint64_t x = p.x + uint64_t(token) * p.x_token * 4;
        float sum = 0.0;
        for (uint j = 0; j < p.parts; ++j, x += uint64_t(p.x_part) * 4)
            sum += weights.v[j] * F32(x).v[at];
        F32(p.y).v[i] = sum;
    }
}
