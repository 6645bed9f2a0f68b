// Element i of a row under ROPE; `angles` are a position's cosines, then sines. Elements from
// 2 * pairs on stay as they are.
float rotated(F32 x, F32 angles, uint pairs, bool halves, uint i) {
    if (i >= 2 * pairs) return x.v[i];
    const uint pair = halves ? i % pairs : i / 2;
    const bool second = halves ? i >= pairs : (i & 1) != 0;
    const uint other = halves ? (second ? i - pairs : i + pairs) : i ^ 1;
    const float c = angles.v[pair], s = angles.v[pair + pairs];
    return second ? x.v[other] * s + x.v[i] * c : x.v[i] * c - x.v[other] * s;
}

// Elements i..i+3 of such a row, for addresses of 16 bytes and where four elements are never in two
// parts: i, and for halves `pairs`, else 2 * pairs, are multiples of 4.
vec4 rotated_four(uint64_t x, uint64_t angles, uint pairs, bool halves, uint i) {
    const vec4 own = F32x4(x + i * 4).v[0];
    if (i >= 2 * pairs) return own;
    if (halves) {
        const bool second = i >= pairs;
        const uint pair = second ? i - pairs : i;
        const vec4 other = F32x4(x + (second ? pair : pair + pairs) * 4).v[0];
        const vec4 c = F32x4(angles + pair * 4).v[0], s = F32x4(angles + (pair + pairs) * 4).v[0];
        return second ? other * s + own * c : own * c - other * s;
    }
    const vec2 c = F32x2(angles + i * 2).v[0], s = F32x2(angles + (i / 2 + pairs) * 4).v[0];
    return vec4(own.x * c.x - own.y * s.x, own.x * s.x + own.y * c.x, own.z * c.y - own.w * s.y,
                own.z * s.y + own.w * c.y);
}
