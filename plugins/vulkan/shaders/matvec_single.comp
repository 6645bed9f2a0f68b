// MATMUL of one vector with a matrix in planes (include/single.glsl), with an addend or a GLU.
#version 460
#include "activation.glsl"
#include "single.glsl"

layout(constant_id = 4) const uint kGlu = 0; // 1 + kind of RZ_UNARY_*; 0: none

// Of GLU the second operand comes from the rows behind the n of the first.
uvec2 rows_of(uint pair) {
    if (kGlu != 0) return pair + uvec2(0, p.n);
    return min(2 * pair + uvec2(0, 1), uvec2(p.n - 1));
}

vec4 ahead_of(uint pair) {
    if (kGlu != 0 || p.add == 0) return vec4(0.0);
    const uvec2 rows = rows_of(pair);
    return vec4(FreshF32(p.add).v[rows.x], FreshF32(p.add).v[rows.y], 0.0, 0.0);
}

void take(uint pair, vec2 products, vec4 ahead) {
    FreshF32 y = FreshF32(p.y);
    if (kGlu != 0) {
        y.v[pair] = activation(kGlu - 1, products.x) * products.y;
        return;
    }
    y.v[2 * pair] = products.x + ahead.x;
    if (2 * pair + 1 < p.n) y.v[2 * pair + 1] = products.y + ahead.y;
}

void main() { multiply_rows(kGlu != 0 ? p.n : (p.n + 1) / 2); }
