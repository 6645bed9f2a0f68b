// Floats as unsigned numbers in the same order; NaN lowest, -0 as 0.
uint order_of(float x) {
    if (is_nan(x)) return 0;
    const uint bits = x == 0.0f ? 0u : as_uint(x);
    return (bits & 0x80000000u) ? ~bits : bits | 0x80000000u;
}
