// The matrices of Q, K and V of one token in one dispatch (include/single.glsl): bias, rotation (ROPE)
// and the write into the cache (F16) follow on the products. Rows count through Q, K and V; the
// dispatch begins at row p.first of them, and p.n of them are its own. A pair of rows is what ROPE
// turns together.
#version 460
#include "single.glsl"

layout(constant_id = 3) const uint kRowsQ = 0;
layout(constant_id = 4) const uint kRowsK = 0;
layout(constant_id = 5) const uint kWidth = 2;  // of a head of Q and K
layout(constant_id = 6) const uint kWidthV = 2;
layout(constant_id = 7) const uint kTurned = 0; // pairs of a head that ROPE turns
layout(constant_id = 8) const bool kHalves = false;

layout(buffer_reference, std430, buffer_reference_align = 8) buffer Table { QkvTable t; };

struct Pair {
    uint part;  // 0 to 2: Q, K, V
    uint begin; // of the part
    uvec2 rows; // relative to that
    uint turn;  // index of the angle; kTurned or more: none
};

Pair find(uint pair) {
    const uint row = p.first + min(2 * pair, p.n - 2);
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
    return found.begin + found.rows - p.first;
}

void take(uint pair, vec2 x) {
    const QkvTable t = Table(p.table).t;
    const Pair found = find(pair);
    const uvec2 rows = found.rows;
    const uint64_t bias = t.bias[found.part];
    if (bias != 0) x += vec2(F32(bias).v[rows.x], F32(bias).v[rows.y]);
    if (found.turn < kTurned) {
        const float c = F32(t.angles).v[found.turn], s = F32(t.angles).v[found.turn + kTurned];
        x = vec2(x.x * c - x.y * s, x.y * c + x.x * s);
    }
    if (found.part == 0) {
        F32(p.y).v[rows.x] = x.x;
        F32(p.y).v[rows.y] = x.y;
        return;
    }
    const int cell = I32(t.cells).v[0];
    if (cell < 0 || uint(cell) >= t.capacity) return;
    const bool key = found.part == 1;
    const uint width = key ? kWidth : kWidthV;
    const uint64_t units = uint64_t(cell) * (key ? t.k_cell : t.v_cell) +
                           uint64_t(rows.x / width) * (key ? t.k_head : t.v_head);
    U16 cache = U16((key ? t.k : t.v) + units * 2);
    cache.v[rows.x % width] = uint16_t(float_to_half(x.x));
    cache.v[rows.y % width] = uint16_t(float_to_half(x.y));
}

void main() { multiply_rows(p.n / 2); }
