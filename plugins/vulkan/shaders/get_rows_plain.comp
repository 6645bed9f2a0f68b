// GET_ROWS from a table of type kType.
#version 460
#include "common.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 0) const uint kType = 0;
layout(push_constant) uniform Push { GetRowsParams p; };

void main() {
    const uint total = p.tokens * p.inner, step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < total; i += step) {
        const uint token = i / p.inner, at = i % p.inner;
        const int id = I32(p.ids).v[token];
        float value = 0.0;
        if (id >= 0 && uint(id) < p.rows)
            value = load_plain(kType, p.table.plane[0] + uint64_t(id) * p.table.stride *
                                                             plain_size(kType), at);
        F32(p.y).v[i] = value;
    }
}
