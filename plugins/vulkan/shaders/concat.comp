// CONCAT: a row of the result is a row of a, then one of b.
#version 460
#include "common.glsl"

layout(local_size_x = 256) in;
layout(push_constant) uniform Push { ConcatParams p; };

void main() {
    const uint inner = p.a_inner + p.b_inner, step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < p.total; i += step) {
        const uint row = i / inner, at = i % inner;
        const bool first = at < p.a_inner;
        const uint64_t x = first ? row_address(p.a, p.n1, p.n2, row, 4)
                                 : row_address(p.b, p.n1, p.n2, row, 4);
        U32(p.y).v[i] = U32(x).v[first ? at : at - p.a_inner];
    }
}
