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
