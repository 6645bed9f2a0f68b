// ADD, MUL, SCALE, UNARY, GLU and CLAMP: one output element from the elements at the same place.
#version 460
#include "activation.glsl"
#include "common.glsl"

layout(local_size_x = 256) in;
// 0 ADD, 1 MUL, 2 SCALE, 3 CLAMP to [scale, bias], 16 + kind UNARY, 32 + kind GLU (kinds of RZ_UNARY_*).
layout(constant_id = 0) const uint kOperation = 0;
layout(push_constant) uniform Push { ElementwiseParams p; };

const uint kAdd = 0, kMul = 1, kScale = 2, kClamp = 3, kUnary = 16, kGlu = 32;

void main() {
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < p.total; i += step) {
        const uint row = i / p.inner, at = i % p.inner;
        const float a = F32(row_address(p.a, p.n1, p.n2, row, 4)).v[at];
        float b = 0.0;
        if (kOperation < kScale || kOperation >= kGlu)
            b = F32(row_address(p.b, p.n1, p.n2, row, 4)).v[at];
        float y;
        if (kOperation == kAdd) y = a + b;
        else if (kOperation == kMul) y = a * b;
        else if (kOperation == kScale) y = a * p.scale + p.bias;
        else if (kOperation == kClamp) y = min(max(a, p.scale), p.bias);
        else if (kOperation < kGlu) y = activation(kOperation - kUnary, a);
        else y = activation(kOperation - kGlu, a) * b;
        F32(p.y).v[i] = y;
    }
}
