// MATMUL of one vector with a matrix in planes (include/single.glsl), with an addend or a GLU.
#version 460
#include "single.glsl"

layout(constant_id = 3) const uint kGlu = 0; // 1 + kind of RZ_UNARY_*; 0: none

// Of GLU the second operand comes from the rows behind the n of the first.
uvec2 rows_of(uint pair) {
    const uint last = p.n - 1;
    if (kGlu != 0) return min(pair, last) + uvec2(0, p.n);
    return min(2 * pair + uvec2(0, 1), uvec2(last));
}

void take(uint pair, vec2 products) {
    F32 y = F32(p.y);
    if (kGlu != 0) {
        y.v[pair] = activation(kGlu - 1, products.x) * products.y;
        return;
    }
    for (uint r = 0; r < 2; ++r) {
        const uint row = 2 * pair + r;
        if (row < p.n) y.v[row] = products[r] + (p.add != 0 ? F32(p.add).v[row] : 0.0);
    }
}

void main() { multiply_rows(kGlu != 0 ? p.n : (p.n + 1) / 2); }
