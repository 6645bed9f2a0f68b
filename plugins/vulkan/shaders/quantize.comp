// Activations in 8 bits with a scale for each 32 elements, for the products of several vectors: of x as
// it is, of RMS_NORM of x, or of a GLU. A workgroup for each row; a thread makes half a group.
#version 460
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_basic : require
#include "activation.glsl"
#include "common.glsl"
#include "dot.glsl"
#include "pack.glsl"

const uint kThreads = 256;
layout(local_size_x = kThreads) in;
layout(constant_id = 0) const uint kSource = 0;   // 0: x; 1: its norm; 32 + kind: a GLU
layout(constant_id = 1) const bool kWide = false; // rows at 16 bytes
layout(push_constant) uniform Push { QuantizeParams p; };

shared float squares[kThreads];
shared vec2 halves[kThreads]; // largest, sum

vec4 load(uint64_t row, uint i) {
    if (kWide) return F32x4(row).v[i];
    F32 x = F32(row + i * 16);
    return vec4(x.v[0], x.v[1], x.v[2], x.v[3]);
}

float factor_of_norm(uint64_t row) {
    float sum = 0.0;
    [[unroll]] for (uint i = gl_LocalInvocationID.x; i < p.inner / 4; i += kThreads)
        sum += dot(load(row, i), load(row, i));
    sum = subgroupAdd(sum);
    if (subgroupElect()) squares[gl_SubgroupID] = sum;
    barrier();
    sum = 0.0;
    for (uint i = 0; i < gl_NumSubgroups; ++i)
        sum += squares[i];
    return 1.0 / sqrt(sum / float(p.inner) + p.epsilon);
}

void main() {
    const uint self = gl_LocalInvocationID.x, row = gl_WorkGroupID.x, pieces = p.inner / 16;
    const uint64_t x = row_address(p.x, p.n1, p.n2, row, 4);
    const uint64_t other = kSource < 32 ? p.other.base : row_address(p.other, p.n1, p.n2, row, 4);
    const float factor = kSource == 1 ? factor_of_norm(x) : 1.0;
    for (uint first = 0; first < pieces; first += kThreads) {
        const uint i = min(first + self, pieces - 1);
        vec4 v[4];
        float most = 0.0;
        [[unroll]] for (uint j = 0; j < 4; ++j) {
            v[j] = load(x, i * 4 + j) * factor;
            if (kSource == 1 && other != 0) v[j] *= load(other, i * 4 + j);
            if (kSource >= 32)
                [[unroll]] for (uint k = 0; k < 4; ++k)
                    v[j][k] = activation(kSource - 32, v[j][k]);
            if (kSource >= 32) v[j] *= load(other, i * 4 + j);
            most = max(most, largest_of(v[j]));
        }
        barrier();
        halves[self].x = most;
        barrier();
        most = max(most, halves[self ^ 1].x);
        const float to_bytes = most > 0.0 ? 127.0 / most : 0.0;
        uvec4 words;
        int sum = 0;
        [[unroll]] for (uint j = 0; j < 4; ++j) {
            words[j] = pack(v[j] * to_bytes);
            sum += dot4(words[j], 0x01010101u);
        }
        halves[self].y = float(sum);
        barrier();
        if (first + self >= pieces) continue;
        const uint group = row * (p.inner / 32) + i / 2;
        U32x4(p.q + (i & 1) * uint64_t(p.rows) * p.inner / 2).v[group] = words;
        if ((i & 1) == 0)
            F32x2(p.s).v[group] = most / 127.0 * vec2(1.0, halves[self].y + halves[self + 1].y);
    }
}
