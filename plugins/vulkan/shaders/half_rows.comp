// Rows of x in F16 for the cooperative forms of MATMUL, zeros up to the next multiple of 64, and a factor
// for each row. A row is scaled by a power of two so that its largest element is in [2^14, 2^15): no finite
// element overflows, and what is lost to subnormals is below 2^-38 of the largest. x may be the result of
// an RMS_NORM or of a GLU, which is then made here. A workgroup makes a row.
#version 460
#include "activation.glsl"
#include "common.glsl"
#extension GL_KHR_shader_subgroup_arithmetic : require

const uint kThreads = 256, kNorm = 1, kGlu = 32;
layout(local_size_x = kThreads) in;
layout(constant_id = 0) const uint kSource = 0; // 0 x, 1 RMS_NORM of x, 32 + kind GLU of x and b
layout(constant_id = 1) const uint kWide = 0;   // rows of x and b, and the weight, begin at 16 bytes
layout(push_constant) uniform Push { HalfRowsParams p; };

shared vec2 parts[kThreads];

// Sum of the first and maximum of the second over the workgroup.
vec2 reduce(vec2 x) {
    x = vec2(subgroupAdd(x.x), subgroupMax(x.y));
    barrier();
    if (subgroupElect()) parts[gl_SubgroupID] = x;
    barrier();
    vec2 all = vec2(0.0);
    for (uint i = 0; i < gl_NumSubgroups; ++i)
        all = vec2(all.x + parts[i].x, max(all.y, parts[i].y));
    return all;
}

// Elements i..i+3 of a row; zeros from `inner` on.
vec4 load(uint64_t row, uint i) {
    if (kWide != 0) return i < p.inner ? F32x4(row + i * 4).v[0] : vec4(0.0);
    vec4 x = vec4(0.0);
    [[unroll]] for (uint j = 0; j < 4; ++j)
        if (i + j < p.inner) x[j] = F32(row).v[i + j];
    return x;
}

// The same of what becomes F16, but for the factor of a norm.
vec4 element(uint64_t x, uint64_t b, uint i) {
    vec4 value = load(x, i);
    if (kSource == kNorm && p.other.base != 0) value *= load(p.other.base, i);
    if (kSource >= kGlu) {
        const vec4 gate = value;
        [[unroll]] for (uint j = 0; j < 4; ++j)
            value[j] = activation(kSource - kGlu, gate[j]);
        value *= load(b, i);
    }
    return value;
}

float power_of_two(int exponent) { return uintBitsToFloat(uint(exponent + 127) << 23); }
uint pair(float low, float high) { return float_to_half(low) | float_to_half(high) << 16; }

void main() {
    const uint first = gl_LocalInvocationID.x * 4;
    for (uint row = gl_WorkGroupID.x; row < p.rows; row += gl_NumWorkGroups.x) {
        const uint64_t x = row_address(p.x, p.n1, p.n2, row, 4);
        const uint64_t b = kSource >= kGlu ? row_address(p.other, p.n1, p.n2, row, 4) : 0;
        vec2 all = vec2(0.0); // of squares of x, and the largest element
        for (uint i = first; i < p.inner; i += kThreads * 4) {
            const vec4 value = abs(element(x, b, i));
            all.y = max(all.y, max(max(value.x, value.y), max(value.z, value.w)));
            if (kSource == kNorm) {
                const vec4 raw = load(x, i);
                all.x += dot(raw, raw);
            }
        }
        all = reduce(all);
        float norm = 1.0;
        if (kSource == kNorm) norm = 1.0 / sqrt(all.x / float(p.inner) + p.epsilon);
        const float most = all.y * norm;
        const int exponent = int(floatBitsToUint(most) >> 23) - 127;
        const int up = most > 0.0 ? clamp(14 - exponent, -112, 126) : 0;
        const float factor = power_of_two(up) * norm;
        for (uint i = first; i < p.stride; i += kThreads * 4) {
            const vec4 value = element(x, b, i) * factor;
            U32x2(p.y + (uint64_t(row) * p.stride + i) * 2).v[0] =
                uvec2(pair(value.x, value.y), pair(value.z, value.w));
        }
        if (gl_LocalInvocationID.x == 0) F32(p.scales).v[row] = power_of_two(-up);
    }
}
