// SOFTMAX: a workgroup for each row.
#version 460
#include "common.glsl"
#include "reduce.glsl"

layout(local_size_x = 256) in;
layout(push_constant) uniform Push { SoftmaxParams p; };

void main() {
    for (uint row = gl_WorkGroupID.x; row < p.rows; row += gl_NumWorkGroups.x) {
        F32 x = F32(row_address(p.x, p.n1, p.n2, row, 4));
        F32 y = F32(p.y + uint64_t(row) * p.inner * 4);
        float top = -kInf;
        for (uint i = gl_LocalInvocationID.x; i < p.inner; i += 256)
            top = max(top, p.scale * x.v[i]);
        top = reduce_max(top);
        float sum = 0.0;
        if (top != -kInf)
            for (uint i = gl_LocalInvocationID.x; i < p.inner; i += 256) {
                const float weight = exp(p.scale * x.v[i] - top);
                y.v[i] = weight;
                sum += weight;
            }
        sum = reduce_sum(sum);
        const float factor = sum > 0.0 || is_nan(sum) ? 1.0 / sum : 0.0;
        for (uint i = gl_LocalInvocationID.x; i < p.inner; i += 256)
            y.v[i] = top == -kInf ? 0.0 : y.v[i] * factor;
    }
}
