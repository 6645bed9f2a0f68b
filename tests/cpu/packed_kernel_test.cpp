// Packed weights: nothing is lost, and products agree with float64 for every type, instruction set and
// number of rows and tokens.
#include "matmul_reference.h"

#include "plugins/cpu/packed_layout.h"

namespace realizar::cpu::test {
namespace {

const PackedLayout *layout_of(const WeightCase &c) { return packed_layout(c.type); }

std::vector<uint8_t> aligned_buffer(uint64_t size, uint8_t *&data) {
    std::vector<uint8_t> bytes(size + 64);
    data = bytes.data() + (64 - reinterpret_cast<uintptr_t>(bytes.data()) % 64) % 64;
    return bytes;
}

struct PackedWeight {
    uint8_t *data = nullptr; // before `memory`, whose making sets it
    std::vector<uint8_t> memory;

    PackedWeight(const PackedLayout &layout, const WeightRows &w, uint64_t rows, uint64_t k)
        : memory(aligned_buffer(layout.bytes(rows, k), data)) {
        // In pieces that begin and end within groups.
        for (uint64_t at = 0; at < rows;) {
            const uint64_t count = std::min<uint64_t>(at % 2 ? 21 : 5, rows - at);
            pack_rows(layout, w.data() + at * w.stride, at, count, k, data);
            at += count;
        }
    }
};

TEST(PackedLayout, RowsComeBackBitByBit) {
    Random random(11);
    unsigned layouts = 0;
    for (const WeightCase &c : kWeightCases) {
        if (!layout_of(c)) continue;
        ++layouts;
        const PackedLayout &layout = *layout_of(c);
        const uint64_t rows = 41, k = 5 * layout.block_elements;
        WeightRows w(random, c.dtype, rows, k);
        for (std::byte &b : w.bytes) // all bits, not only those that an encoder makes
            b = static_cast<std::byte>(random());
        const PackedWeight packed(layout, w, rows, k);
        std::vector<uint8_t> row(w.stride);
        for (uint64_t r = 0; r < rows; ++r) {
            unpack_row(layout, packed.data, r, k, row.data());
            EXPECT_EQ(std::memcmp(row.data(), w.data() + r * w.stride, w.stride), 0)
                << c.name << " row " << r;
        }
    }
    EXPECT_EQ(layouts, 14u);
}

TEST(PackedLayout, TakesLittleMoreThanTheFile) {
    for (const WeightCase &c : kWeightCases) {
        if (!layout_of(c)) continue;
        const double file = static_cast<double>(row_bytes(c.dtype, 4096) * 4096);
        EXPECT_LE(static_cast<double>(layout_of(c)->bytes(4096, 4096)), 1.02 * file) << c.name;
    }
}

class PackedKernels : public PerIsa {
  protected:
    bool has(const WeightCase &c) const { return k.packed[c.type] != nullptr; }
    // Tokens for the way of computing that is for many, beginning with its first number.
    uint64_t many(const WeightCase &c, uint64_t more = 0) const {
        return k.few_tokens[c.type] + 1 + more;
    }
    static Form form(const WeightCase &c) {
        const uint64_t block = layout_of(c)->block_elements;
        return block == 256 ? Form::kQ8Long : block == 32 ? Form::kQ8 : Form::kFloats;
    }
    Floats run(const WeightCase &c, const WeightRows &w, const Activations &x, uint64_t rows,
               uint64_t tokens, uint64_t n) {
        const PackedWeight packed(*layout_of(c), w, rows, n);
        uint8_t *scratch;
        auto memory = aligned_buffer(k.packed_scratch, scratch);
        std::memset(scratch, 0xff, k.packed_scratch);
        // Rows of y are wider than the result: what lies behind it must stay.
        const uint64_t stride = rows + 3;
        Floats wide(tokens * stride, 12345.0f);
        k.packed[c.type]({packed.data, rows, n, x.bytes.data(), static_cast<int64_t>(x.stride),
                          tokens, wide.data(), static_cast<int64_t>(stride * 4), scratch, nullptr,
                          1});
        Floats y;
        for (uint64_t t = 0; t < tokens; ++t) {
            const float *row = wide.data() + t * stride;
            y.insert(y.end(), row, row + rows);
            for (uint64_t i = rows; i < stride; ++i)
                EXPECT_EQ(row[i], 12345.0f) << c.name << " wrote behind its rows";
        }
        return y;
    }
};

TEST_P(PackedKernels, ProductsAreExact) {
    for (const WeightCase &c : kWeightCases) {
        if (!has(c)) continue;
        const uint64_t block = layout_of(c)->block_elements;
        // 17 * 256: more than the blocks of a panel, in the last of which sums go on.
        for (const uint64_t n : {block, 3 * block, uint64_t{17 * 256}})
            for (const uint64_t rows : {1u, 16u, 19u, 70u})
                for (const uint64_t tokens : {uint64_t{1}, uint64_t{2}, uint64_t{5}, uint64_t{8},
                                              uint64_t{15}, many(c), many(c, 9)}) {
                    if (n == 17 * 256 && (rows == 1 || tokens == 2 || tokens == 8)) continue;
                    const WeightRows w(random, c.dtype, rows, n);
                    const Activations x(k, random, form(c), tokens, n);
                    const Product p = exact_product(w, x, rows, tokens, n);
                    EXPECT_LE(worst(run(c, w, x, rows, tokens, n), p.exact, p.tolerance), 1)
                        << c.name << " rows " << rows << " k " << n << " tokens " << tokens;
                }
    }
}

// The comparison above must see one element that is forgotten, in both ways of computing.
TEST_P(PackedKernels, ControlSeesWrongSums) {
    const uint64_t n = 512;
    for (const WeightCase &c : kWeightCases) {
        if (!has(c)) continue;
        for (const uint64_t tokens : {uint64_t{1}, many(c)}) {
            WeightRows w(random, c.dtype, 1, n);
            const Activations x(k, random, form(c), tokens, n);
            const Floats y = run(c, w, x, 1, tokens, n);
            size_t largest = 0; // term of the first token's sum
            for (size_t i = 1; i < n; ++i)
                if (std::abs(w.values[i] * x.values[i]) >
                    std::abs(w.values[largest] * x.values[largest]))
                    largest = i;
            w.values[largest] = 0;
            const Product p = exact_product(w, x, 1, tokens, n);
            EXPECT_GT(worst(y, p.exact, p.tolerance), 1) << c.name;
        }
    }
}

// Bytes before and behind those that hold no f16 scale and no exponent.
std::pair<uint64_t, uint64_t> all_but_scales(const WeightCase &c) {
    switch (c.type) {
    case kQ3_K:
    case kQ6_K: return {0, 2};
    case kQ4_K:
    case kQ5_K:
    case kQ4_1:
    case kQ5_1: return {4, 0};
    case kMXFP4: return {1, 0};
    default: return {2, 0};
    }
}

// All bits of weights set, all activations at their ends: integer sums must not overflow.
TEST_P(PackedKernels, ExtremeBytesDoNotOverflow) {
    const uint64_t n = 512, rows = 16;
    for (const WeightCase &c : kWeightCases) {
        if (!has(c) || form(c) == Form::kFloats) continue; // no integers
        const realizar::DTypeInfo &info = dtype_info(c.dtype);
        for (const int fill : {0x00, 0x7f, 0x80, 0xff})
            for (const uint64_t tokens : {uint64_t{1}, many(c)}) {
                WeightRows w(random, c.dtype, rows, n);
                for (uint64_t b = 0; b < rows * n / info.block_elements; ++b) {
                    // Everything but the f16 scales and the exponents; scales of K-quants included.
                    const auto [begin, end] = all_but_scales(c);
                    const uint64_t size = info.block_bytes - begin - end;
                    std::memset(w.bytes.data() + b * info.block_bytes + begin, fill, size);
                }
                find_codec(c.dtype)->decode(w.bytes.data(), w.values.data(), rows * n);
                Activations x(k, random, form(c), tokens, n);
                for (uint64_t t = 0; t < tokens; ++t) {
                    for (uint64_t i = 0; i < n; ++i)
                        x.values[t * n + i] = t % 2 ? 127.0f : -127.0f;
                    x.set(k, form(c), t, x.values.data() + t * n, n);
                }
                const Product p = exact_product(w, x, rows, tokens, n);
                EXPECT_LE(worst(run(c, w, x, rows, tokens, n), p.exact, p.tolerance), 1)
                    << c.name << " bytes " << fill << " tokens " << tokens;
            }
    }
}

TEST_P(PackedKernels, NanInOneTokenLeavesTheOthers) {
    const uint64_t n = 512, rows = 21;
    for (const WeightCase &c : kWeightCases) {
        if (!has(c)) continue;
        for (const uint64_t tokens : {uint64_t{7}, many(c, 5)}) {
            const WeightRows w(random, c.dtype, rows, n);
            Activations x(k, random, form(c), tokens, n);
            Floats bad = random_floats(random, n);
            bad[17] = NAN;
            bad[300] = INFINITY;
            const Product p = exact_product(w, x, rows, tokens, n);
            x.set(k, form(c), 3, bad.data(), n);
            Floats y = run(c, w, x, rows, tokens, n);
            for (uint64_t r = 0; r < rows; ++r)
                y[3 * rows + r] = static_cast<float>(p.exact[3 * rows + r]);
            Product loose = p;
            for (double &t : loose.tolerance)
                t += 1e-6;
            EXPECT_LE(worst(y, loose.exact, loose.tolerance), 1) << c.name;
        }
    }
}

TEST_P(PackedKernels, LongRowsRoundToNearest) {
    const uint64_t n = 768;
    Floats x = random_floats(random, n);
    std::fill(x.begin() + 256, x.begin() + 512, 0.0f);
    std::vector<uint8_t> bytes(q8_long_row_bytes(n));
    k.quantize_long(x.data(), bytes.data(), n);
    const Q8LongRow q = q8_long_row(bytes.data(), n);
    for (uint64_t b = 0; b < n / 256; ++b) {
        float top = 0;
        for (uint64_t i = 256 * b; i < 256 * b + 256; ++i)
            top = std::max(top, std::abs(x[i]));
        EXPECT_FLOAT_EQ(q.d[b], top / 127);
    }
    for (uint64_t i = 0; i < n; ++i)
        EXPECT_LE(std::abs(static_cast<float>(q.q[i]) * q.d[i / 256] - x[i]),
                  q.d[i / 256] * 0.50001f);
    for (uint64_t s = 0; s < n / 16; ++s) {
        int sum = 0;
        for (uint64_t i = 16 * s; i < 16 * s + 16; ++i)
            sum += q.q[i];
        EXPECT_EQ(q.sums16[s], sum);
        EXPECT_EQ(q.offsets[s], -32 * sum);
        const int before = s % 2 ? q.sums16[s - 1] : q.sums16[s + 1];
        EXPECT_EQ(q.sums[s / 2], before + sum);
    }
}

RZ_PER_ISA(PackedKernels);

} // namespace
} // namespace realizar::cpu::test
