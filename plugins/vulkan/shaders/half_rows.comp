// Rows of x in F16 for matmul_coopmat.comp, zeros up to the next multiple of 64, and a factor for each
// row. A row is scaled by a power of two so that its largest element is in [2^14, 2^15): no finite
// element overflows, and what is lost to subnormals is below 2^-38 of the largest. A workgroup makes a row.
#version 460
#include "common.glsl"
#include "reduce.glsl"

layout(local_size_x = 256) in;
layout(push_constant) uniform Push { HalfRowsParams p; };

float power_of_two(int exponent) { return uintBitsToFloat(uint(exponent + 127) << 23); }

void main() {
    const uint self = gl_LocalInvocationID.x;
    for (uint row = gl_WorkGroupID.x; row < p.rows; row += gl_NumWorkGroups.x) {
        F32 x = F32(row_address(p.x, p.n1, p.n2, row, 4));
        float most = 0.0;
        for (uint i = self; i < p.inner; i += 256)
            most = max(most, abs(x.v[i]));
        most = reduce_max(most);
        const int exponent = int(floatBitsToUint(most) >> 23) - 127;
        const int up = most > 0.0 ? clamp(14 - exponent, -112, 126) : 0;
        const float factor = power_of_two(up);
        U32 y = U32(p.y + uint64_t(row) * p.stride * 2);
        for (uint i = self * 2; i < p.stride; i += 512) {
            const uint low = i < p.inner ? float_to_half(x.v[i] * factor) : 0;
            const uint high = i + 1 < p.inner ? float_to_half(x.v[i + 1] * factor) : 0;
            y.v[i / 2] = low | high << 16;
        }
        if (self == 0) F32(p.scales).v[row] = power_of_two(-up);
    }
}
