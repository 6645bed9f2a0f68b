// What kernels of ATTENTION share: where a key lies, and what becomes of a score. Needs `p` with an
// AttentionTable's sizes only through the arguments.
const uint kNoCell = 0xffffffffu;

layout(buffer_reference, std430, buffer_reference_align = 8) buffer Table { AttentionTable t; };

float tanh_safe(float x) {
    const float size = min(abs(x), 20.0), t = 1.0 - 2.0 / (exp(2.0 * size) + 1.0);
    return abs(x) < 0.02 ? x * (1.0 - x * x * 0.33333333) : (x < 0.0 ? -t : t);
}

// Position `key` of sequence `sequence` -> its cell.
uint cell_of(AttentionTable t, uint sequence, int key) {
    const uint column = uint(key) / t.page_size;
    const int page = I32(t.pages + uint64_t(sequence) * t.page_stride * 4).v[column];
    if (page < 0) return kNoCell;
    const uint64_t cell = uint64_t(page) * t.page_size + uint(key) % t.page_size;
    return cell < t.cells ? uint(cell) : kNoCell;
}

// The keys that a token at `position` of a known sequence sees: from low to high (exclusive).
void seen_keys(AttentionTable t, uint sequence, int position, out int low, out int high) {
    high = clamp(I32(t.lengths).v[sequence], 0, int(t.page_columns * t.page_size));
    low = t.window > 0 ? max(0, position - int(min(t.window, 0x7fffffffu)) + 1) : 0;
    if (t.causal != 0) high = min(high, position + 1);
}
