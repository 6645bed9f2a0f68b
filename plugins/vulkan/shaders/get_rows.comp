// GET_ROWS from a table in planes. A thread makes eight elements.
#version 460
#include "common.glsl"
#include "types/type.glsl"

layout(local_size_x = 256) in;
layout(push_constant) uniform Push { GetRowsParams p; };

void main() {
    const uint parts = p.inner / 8, total = p.tokens * parts;
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < total; i += step) {
        const uint token = i / parts, group = i % parts / 4, part = i % 4;
        const int id = I32(p.ids).v[token];
        F32 y = F32(p.y + (uint64_t(token) * p.inner + group * 32 + part * 4) * 4);
        if (id < 0 || uint(id) >= p.rows) {
            for (uint j = 0; j < 4; ++j)
                y.v[j] = y.v[16 + j] = 0.0;
            continue;
        }
        const uint g = uint(id) * p.table.stride + group;
        const uvec2 words = load_part(p.table, g, part);
        const GroupScale scale = load_scale(p.table, g);
        for (uint j = 0; j < 4; ++j) {
            y.v[j] = scale.low * float(signed_byte(words.x, j)) - scale.minimum;
            y.v[16 + j] = scale.high * float(signed_byte(words.y, j)) - scale.upper_minimum;
        }
    }
}
