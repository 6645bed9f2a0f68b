// Element i of a row under ROPE; `angles` are a position's cosines, then sines. Elements from
// 2 * pairs on stay as they are.
float rotated(global const float *x, global const float *angles, uint pairs, bool halves, uint i) {
    if (i >= 2 * pairs) return x[i];
    const uint pair = halves ? i % pairs : i / 2;
    const bool second = halves ? i >= pairs : (i & 1) != 0;
    const uint other = halves ? (second ? i - pairs : i + pairs) : i ^ 1;
    const float c = angles[pair], s = angles[pair + pairs];
    return second ? x[other] * s + x[i] * c : x[i] * c - x[other] * s;
}

// The same for what is written to a cache, rotated or not.
float element(const KvWriteParams *p, global const float *x, global const float *angles, uint i) {
    return p->pairs ? rotated(x, angles, p->pairs, p->halves != 0, i) : x[i];
}
