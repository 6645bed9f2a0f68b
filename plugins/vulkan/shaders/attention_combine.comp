// Joins the parts that attention.comp made of the keys. A workgroup for each token and head.
#version 460
#include "common.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { CombineParams p; };

void main() {
    for (uint row = gl_WorkGroupID.x; row < p.rows; row += gl_NumWorkGroups.x) {
        const uint64_t size = uint64_t(p.dv + 2) * 4;
        float top = -kInf, sum = 0.0;
        for (uint s = 0; s < p.splits; ++s)
            top = max(top, F32(p.parts + (uint64_t(s) * p.rows + row) * size).v[0]);
        float sink = 0.0;
        float peak = top;
        if (p.sinks != 0 && top != -kInf) {
            sink = F32(p.sinks).v[row % p.heads];
            peak = max(top, sink);
            sum = exp(sink - peak);
        }
        for (uint s = 0; s < p.splits; ++s) {
            F32 part = F32(p.parts + (uint64_t(s) * p.rows + row) * size);
            if (part.v[0] != -kInf) sum += part.v[1] * exp(part.v[0] - peak);
        }
        for (uint i = gl_LocalInvocationID.x; i < p.dv; i += 64) {
            float value = 0.0;
            for (uint s = 0; s < p.splits; ++s) {
                F32 part = F32(p.parts + (uint64_t(s) * p.rows + row) * size);
                if (part.v[0] != -kInf) value += part.v[2 + i] * exp(part.v[0] - peak);
            }
            F32(p.y + uint64_t(row) * p.dv * 4).v[i] = top == -kInf ? 0.0 : value / sum;
        }
    }
}
