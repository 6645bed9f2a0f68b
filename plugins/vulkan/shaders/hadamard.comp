// Rows rotated like those of a Q4_0 cache, or back. A thread takes a run.
#version 460
#include "common.glsl"
#include "hadamard.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { CopyParams p; };

void main() {
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < p.total / kRun; i += step) {
        const uint first = i * kRun, row = first / p.inner, at = first % p.inner;
        F32 x = F32(row_address(p.x, p.n1, p.n2, row, 4));
        for (uint j = 0; j < kRun; ++j)
            run[j] = x.v[at + j];
        transform_run();
        for (uint j = 0; j < kRun; ++j)
            F32(p.y).v[first + j] = run[j];
    }
}
