// RMS_NORM and LAYER_NORM: a workgroup for each row.
#version 460
#include "common.glsl"
#include "reduce.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 0) const bool kLayer = false;
layout(push_constant) uniform Push { NormParams p; };

void main() {
    for (uint row = gl_WorkGroupID.x; row < p.rows; row += gl_NumWorkGroups.x) {
        F32 x = F32(row_address(p.x, p.n1, p.n2, row, 4));
        float mean = 0.0;
        if (kLayer) {
            float sum = 0.0;
            for (uint i = gl_LocalInvocationID.x; i < p.inner; i += 256)
                sum += x.v[i];
            mean = reduce_sum(sum) / float(p.inner);
        }
        float squares = 0.0;
        for (uint i = gl_LocalInvocationID.x; i < p.inner; i += 256)
            squares += (x.v[i] - mean) * (x.v[i] - mean);
        const float factor = 1.0 / sqrt(reduce_sum(squares) / float(p.inner) + p.epsilon);
        F32 y = F32(p.y + uint64_t(row) * p.inner * 4);
        for (uint i = gl_LocalInvocationID.x; i < p.inner; i += 256) {
            float value = (x.v[i] - mean) * factor;
            if (p.weight != 0) value *= F32(p.weight).v[i];
            if (p.bias != 0) value += F32(p.bias).v[i];
            y.v[i] = value;
        }
    }
}
