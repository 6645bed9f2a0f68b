// The matrices of Q, K and V of one token in one dispatch (include/single.glsl): bias, rotation (ROPE)
// and the write into the cache (F16) follow on the products. Rows count through Q, K and V; the
// dispatch begins at row kFirst of them, and p.n of them are its own. A pair of rows is what ROPE
// turns together.
#version 460
#include "single.glsl"

layout(constant_id = 4) const uint kRowsQ = 0;
layout(constant_id = 5) const uint kRowsK = 0;
layout(constant_id = 6) const uint kWidth = 2; // of a head of Q and K
layout(constant_id = 7) const uint kWidthV = 2;
layout(constant_id = 8) const uint kTurned = 0; // pairs of a head that ROPE turns
layout(constant_id = 9) const bool kHalves = false;
layout(constant_id = 10) const bool kBias = false;
layout(constant_id = 11) const uint kCells = 0; // of the cache
layout(constant_id = 12) const uint kCellK = 0; // strides of the cache in elements
layout(constant_id = 13) const uint kHeadK = 0;
layout(constant_id = 14) const uint kCellV = 0;
layout(constant_id = 15) const uint kHeadV = 0;
layout(constant_id = 16) const uint kFirst = 0;

layout(buffer_reference, std430, buffer_reference_align = 8) buffer Biases { uint64_t v[]; };

struct Pair {
    uint part;  // 0 to 2: Q, K, V
    uint begin; // of the part
    uvec2 rows; // relative to that
    uint turn;  // index of the angle; kTurned or more: none
};

Pair find(uint pair) {
    const uint row = kFirst + 2 * pair;
    if (row >= kRowsQ + kRowsK) {
        const uint begin = kRowsQ + kRowsK;
        return Pair(2, begin, row - begin + uvec2(0, 1), kTurned);
    }
    const uint part = row < kRowsQ ? 0 : 1, begin = part * kRowsQ;
    const uint head = (row - begin) / kWidth * kWidth, i = (row - begin) % kWidth / 2;
    const uvec2 rows = kHalves && i < kTurned ? i + uvec2(0, kTurned) : 2 * i + uvec2(0, 1);
    return Pair(part, begin, head + rows, i);
}

uvec2 rows_of(uint pair) {
    const Pair found = find(pair);
    return found.begin + found.rows - kFirst;
}

// Cosine, sine, biases.
vec4 ahead_of(uint pair) {
    const Pair found = find(pair);
    vec4 result = vec4(1.0, 0.0, 0.0, 0.0);
    if (found.turn < kTurned)
        result.xy =
            vec2(FreshF32(p.angles).v[found.turn], FreshF32(p.angles).v[found.turn + kTurned]);
    if (kBias) {
        const uint64_t bias = Biases(p.add).v[found.part];
        if (bias != 0) result.zw = vec2(F32(bias).v[found.rows.x], F32(bias).v[found.rows.y]);
    }
    return result;
}

int cell; // of this token

void take(uint pair, vec2 products, vec4 ahead) {
    const Pair found = find(pair);
    vec2 x = products + ahead.zw;
    x = vec2(x.x * ahead.x - x.y * ahead.y, x.y * ahead.x + x.x * ahead.y);
    if (found.part == 0) {
        FreshF32(p.y).v[found.rows.x] = x.x;
        FreshF32(p.y).v[found.rows.y] = x.y;
        return;
    }
    if (cell < 0 || uint(cell) >= kCells) return;
    const bool key = found.part == 1;
    const uint width = key ? kWidth : kWidthV;
    const uint64_t first = uint64_t(cell) * (key ? kCellK : kCellV) +
                           found.rows.x / width * (key ? kHeadK : kHeadV);
    U16 cache = U16((key ? p.k : p.v) + first * 2);
    const uvec2 at = found.rows % width;
    cache.v[at.x] = uint16_t(float_to_half(x.x));
    cache.v[at.y] = uint16_t(float_to_half(x.y));
}

void main() {
    cell = I32(p.cells).v[0];
    multiply_rows(p.n / 2);
}
