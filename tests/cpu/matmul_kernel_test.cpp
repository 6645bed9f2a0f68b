// Row dots and panel products against float64, for every type, instruction set and odd shape.
#include "matmul_reference.h"

#include <algorithm>

namespace realizar::cpu::test {
namespace {

class MatmulKernels : public PerIsa {
  protected:
    Floats run_dots(const WeightCase &c, const WeightRows &w, const Activations &x, uint64_t rows,
                    uint64_t tokens, uint64_t n) {
        Floats y(rows * tokens, NAN);
        for (uint64_t t = 0; t < tokens; ++t)
            k.dot[c.type]({w.data(), static_cast<int64_t>(w.stride), rows, n,
                           x.bytes.data() + t * x.stride, y.data() + t * rows});
        return y;
    }
    Floats run_gemm(const WeightCase &c, const WeightRows &w, const Activations &x, uint64_t rows,
                    uint64_t tokens, uint64_t n) {
        Floats y(rows * tokens, NAN);
        const uint64_t size = (k.gemm_scratch(c.type, n) + 63) / 64 * 64;
        auto *scratch = static_cast<uint8_t *>(std::aligned_alloc(64, size));
        std::memset(scratch, 0xff, size);
        for (uint64_t r = 0; r < rows; r += k.panel_rows)
            k.gemm[c.type]({w.data() + r * w.stride, static_cast<int64_t>(w.stride),
                            std::min(k.panel_rows, rows - r), n, x.bytes.data(),
                            static_cast<int64_t>(x.stride), tokens, y.data() + r,
                            static_cast<int64_t>(rows * 4), scratch});
        std::free(scratch);
        return y;
    }
    // Lengths that are no multiple of a vector where the type allows it.
    static std::vector<uint64_t> lengths(DType dtype) {
        const uint64_t block = dtype_info(dtype).block_elements;
        if (block > 1) return {block, 3 * block, 2048};
        return {1, 7, 33, 64, 100, 2048};
    }
};

TEST_P(MatmulKernels, DotIsExact) {
    for (const WeightCase &c : kWeightCases)
        for (const uint64_t n : lengths(c.dtype))
            for (const uint64_t rows : {1u, 2u, 5u, 19u}) {
                const WeightRows w(random, c.dtype, rows, n);
                const Activations x(k, random, canonical_form(c.type), 1, n);
                const Product p = exact_product(w, x, rows, 1, n);
                EXPECT_LE(worst(run_dots(c, w, x, rows, 1, n), p.exact, p.tolerance), 1)
                    << c.name << " rows " << rows << " k " << n;
            }
}

TEST_P(MatmulKernels, GemmIsExact) {
    for (const WeightCase &c : kWeightCases)
        for (const uint64_t n : lengths(c.dtype))
            for (const uint64_t rows : {uint64_t{1}, k.panel_rows, k.panel_rows + 5})
                for (const uint64_t tokens : {1u, 4u, 13u}) {
                    const WeightRows w(random, c.dtype, rows, n);
                    const Activations x(k, random, canonical_form(c.type), tokens, n);
                    const Product p = exact_product(w, x, rows, tokens, n);
                    EXPECT_LE(worst(run_gemm(c, w, x, rows, tokens, n), p.exact, p.tolerance), 1)
                        << c.name << " rows " << rows << " k " << n << " tokens " << tokens;
                }
}

// The comparison above must see a kernel that forgets one element or takes two in the wrong order.
TEST_P(MatmulKernels, ControlSeesWrongSums) {
    const uint64_t n = 256;
    for (const WeightCase &c : kWeightCases) {
        WeightRows w(random, c.dtype, 1, n);
        const Activations x(k, random, canonical_form(c.type), 1, n);
        const Floats y = run_dots(c, w, x, 1, 1, n);
        const auto [low, high] = std::minmax_element(w.values.begin(), w.values.end());
        const float kept = *high;
        *high = 0;
        Product p = exact_product(w, x, 1, 1, n);
        EXPECT_GT(worst(y, p.exact, p.tolerance), 1) << c.name;
        *high = kept;
        std::iter_swap(low, high);
        p = exact_product(w, x, 1, 1, n);
        EXPECT_GT(worst(y, p.exact, p.tolerance), 1) << c.name;
    }
}

// Where the levels of a block lie, without its scales: first byte and number.
std::pair<uint64_t, uint64_t> payload_of(DType dtype) {
    const uint64_t bytes = dtype_info(dtype).block_bytes;
    switch (dtype) {
    case DType::Q6_K: return {0, 192};
    case DType::Q3_K: return {0, 96};
    case DType::Q4_K:
    case DType::Q5_K: return {16, bytes - 16};
    case DType::Q4_1:
    case DType::Q5_1: return {4, bytes - 4};
    case DType::IQ4_XS: return {8, bytes - 8};
    case DType::MXFP4: return {1, bytes - 1};
    default: return {2, bytes - 2};
    }
}

// Largest bytes of weights and activations: the sums of integer instructions must not saturate.
TEST_P(MatmulKernels, ExtremeBytesDoNotSaturate) {
    const uint64_t n = 512;
    for (const WeightCase &c : kWeightCases) {
        if (!quantised(c.type)) continue;
        for (const int fill : {0x7f, 0x80, 0xff}) {
            WeightRows w(random, c.dtype, 3, n);
            // All payload bytes equal; scales keep their values.
            const realizar::DTypeInfo &info = dtype_info(c.dtype);
            for (uint64_t b = 0; b < 3 * n / info.block_elements; ++b) {
                const auto [payload, size] = payload_of(c.dtype);
                std::memset(w.bytes.data() + b * info.block_bytes + payload, fill, size);
            }
            find_codec(c.dtype)->decode(w.bytes.data(), w.values.data(), 3 * n);
            Activations x(k, random, Form::kQ8, 1, n);
            Floats raw(n);
            for (uint64_t i = 0; i < n; ++i)
                x.values[i] = raw[i] = i % 64 < 32 ? 127.0f : -127.0f;
            k.quantize(raw.data(), x.bytes.data(), n);
            // Half of it positive only, so that sums grow.
            const Product p = exact_product(w, x, 3, 1, n);
            EXPECT_LE(worst(run_dots(c, w, x, 3, 1, n), p.exact, p.tolerance), 1) << c.name;
            EXPECT_LE(worst(run_gemm(c, w, x, 3, 1, n), p.exact, p.tolerance), 1) << c.name;
        }
    }
}

TEST_P(MatmulKernels, NanInOneTokenLeavesTheOthers) {
    const uint64_t n = 256, rows = 5, tokens = 9;
    for (const WeightCase &c : kWeightCases) {
        const WeightRows w(random, c.dtype, rows, n);
        Activations x(k, random, canonical_form(c.type), tokens, n);
        Floats bad = random_floats(random, n);
        bad[17] = NAN;
        bad[40] = INFINITY;
        if (quantised(c.type))
            k.quantize(bad.data(), x.bytes.data() + 3 * x.stride, n);
        else
            std::memcpy(x.bytes.data() + 3 * x.stride, bad.data(), n * 4);
        Product p = exact_product(w, x, rows, tokens, n);
        Floats y = run_gemm(c, w, x, rows, tokens, n);
        for (uint64_t r = 0; r < rows; ++r)
            y[3 * rows + r] = static_cast<float>(p.exact[3 * rows + r]);
        for (double &t : p.tolerance)
            t += 1e-6;
        EXPECT_LE(worst(y, p.exact, p.tolerance), 1) << c.name;
    }
}

TEST_P(MatmulKernels, QuantizeRoundsToNearest) {
    for (const uint64_t n : {32u, 96u, 2048u}) {
        Floats x = random_floats(random, n);
        if (n == 96) std::fill(x.begin() + 32, x.begin() + 64, 0.0f);
        std::vector<uint8_t> bytes(q8_row_bytes(n));
        k.quantize(x.data(), bytes.data(), n);
        const Q8Row q = q8_row(bytes.data(), n);
        for (uint64_t b = 0; b < n / 32; ++b) {
            float top = 0;
            int sum = 0;
            for (uint64_t i = 32 * b; i < 32 * b + 32; ++i) {
                top = std::max(top, std::abs(x[i]));
                sum += q.q[i];
                EXPECT_LE(std::abs(static_cast<float>(q.q[i]) * q.d[b] - x[i]), q.d[b] * 0.50001f);
            }
            EXPECT_FLOAT_EQ(q.d[b], top / 127);
            EXPECT_EQ(q.negated[b], -sum);
            EXPECT_EQ(q.sums[2 * b] + q.sums[2 * b + 1], sum);
            EXPECT_FLOAT_EQ(q.ds[b], q.d[b] * static_cast<float>(sum));
        }
    }
}

RZ_PER_ISA(MatmulKernels);

} // namespace
} // namespace realizar::cpu::test
