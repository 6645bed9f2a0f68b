// Cosines and sines of all positions, shared by the ROPE nodes of all layers. Angles are in turns, so
// that taking off whole turns is exact at any position.
#version 460
#include "common.glsl"

layout(local_size_x = 256) in;
layout(push_constant) uniform Push { AnglesParams p; };

// cos and sin of `turn` turns, |turn| <= 1/2: octant by octant, Taylor series up to an eighth turn.
vec2 cos_sin(float turn) {
    const float quarters = round(turn * 4.0);
    const float x = (turn - quarters * 0.25) * 6.28318531, s = x * x;
    const float sine = x * (1.0 + s * (-0.16666667 + s * (0.0083333333 + s * -0.00019841270)));
    const float cosine =
        1.0 + s * (-0.5 + s * (0.041666667 + s * (-0.0013888889 + s * 2.4801587e-5)));
    const int quarter = int(quarters) & 3;
    if (quarter == 0) return vec2(cosine, sine);
    if (quarter == 1) return vec2(-sine, cosine);
    if (quarter == 2) return vec2(-cosine, -sine);
    return vec2(sine, -cosine);
}

void main() {
    const uint total = p.rows * p.pairs, step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < total; i += step) {
        const uint row = i / p.pairs, pair = i % p.pairs;
        const float position = float(I32(p.positions).v[row]);
        vec2 turns = F32x2(p.turns).v[pair];
        if (p.factors != 0) {
            const float factor = F32(p.factors).v[pair];
            precise const float quotient = turns.x / factor;
            precise const float rest = fma(-quotient, factor, turns.x);
            turns = vec2(quotient, (rest + turns.y) / factor);
        }
        precise const float product = position * turns.x;
        precise const float error = fma(position, turns.x, -product);
        precise const float whole = round(product);
        const float turn = (product - whole) + (error + position * turns.y);
        const vec2 result = p.magnitude * cos_sin(turn);
        F32 y = F32(p.y + uint64_t(row) * p.pairs * 8);
        y.v[pair] = result.x;
        y.v[pair + p.pairs] = result.y;
    }
}
