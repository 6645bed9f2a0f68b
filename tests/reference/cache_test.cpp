// Rotated Q4_0 caches: the rotation and the rounding by their definitions, and the two operators.
#include "ref_case.h"

#include "core/reference/ref_cache.h"

#include <bit>
#include <random>

namespace realizar {
namespace {

using test::distance;
using test::kExact;
using test::Numbers;
using test::RefCase;

Numbers normal(size_t count, uint32_t seed) {
    std::mt19937 random(seed);
    std::normal_distribution<double> distribution;
    Numbers numbers(count);
    for (double &value : numbers) // as the ops see them: F32
        value = static_cast<float>(distribution(random));
    return numbers;
}

// The matrix as backend.h writes it.
Numbers rotated(const Numbers &row) {
    const size_t run = row.size() % 64 == 0 ? 64 : 32;
    Numbers out(row.size(), 0.0);
    for (size_t begin = 0; begin < row.size(); begin += run)
        for (size_t i = 0; i < run; ++i)
            for (size_t j = 0; j < run; ++j)
                out[begin + i] += (std::popcount(i & j) % 2 ? -1 : 1) * row[begin + j] /
                                  std::sqrt(static_cast<double>(run));
    return out;
}

// Block by block: the element of largest magnitude is level -8, and the nearest of 16 levels is taken.
Numbers rounded(const Numbers &row) {
    Numbers out;
    for (size_t begin = 0; begin < row.size(); begin += 32) {
        double extreme = 0;
        for (size_t i = begin; i < begin + 32; ++i)
            if (std::fabs(row[i]) > std::fabs(extreme)) extreme = row[i];
        // To the 11 significant bits of F16 (no subnormals here).
        const double exact = extreme / -8;
        const double unit =
            exact == 0 ? 1 : std::exp2(std::floor(std::log2(std::fabs(exact))) - 10);
        const double step = std::nearbyint(exact / unit) * unit;
        for (size_t i = begin; i < begin + 32; ++i)
            out.push_back(step == 0 ? 0
                                    : std::clamp(std::nearbyint(row[i] / step), -8.0, 7.0) * step);
    }
    return out;
}

TEST(RefRotate, IsTheMatrixAndItsOwnInverse) {
    for (const size_t size : {32, 64, 96, 128, 192, 256, 576}) {
        const Numbers row = normal(size, 1);
        Numbers found = row;
        ref_rotate(found);
        EXPECT_LT(distance(found, rotated(row)), kExact) << size;
        EXPECT_GT(distance(found, row), 0.1) << size;
        ref_rotate(found);
        EXPECT_LT(distance(found, row), kExact) << size;
    }
}

// What the rotation is for: one element that stands out costs the others next to nothing.
TEST(RefRotate, SpreadsOneLargeElement) {
    Numbers row = normal(128, 2);
    row[77] = 40;
    Numbers by_rotation = row;
    ref_rotate(by_rotation);
    by_rotation = rounded(by_rotation);
    ref_rotate(by_rotation);
    const Numbers plain = rounded(row);
    double with = 0, without = 0;
    for (size_t i = 64; i < 96; ++i) {
        if (i == 77) continue;
        with += std::pow(by_rotation[i] - row[i], 2);
        without += std::pow(plain[i] - row[i], 2);
    }
    EXPECT_LT(with, 0.5 * without);
}

TEST(RefKvWrite, RotatesAndRoundsToQ4_0) {
    constexpr int64_t kHeads = 3, kWidth = 96;
    RefCase c;
    const Numbers rows = normal(2 * kHeads * kWidth, 3);
    const TensorId cache = c.state(DType::Q4_0, {4, kHeads, kWidth}, Numbers(4 * kHeads * kWidth));
    c.b.kv_write(cache, c.input({2, kHeads, kWidth}, rows), c.integers({2}, {2, 0}));
    const Numbers found = c.run(cache);
    const auto head_of = [&](const Numbers &from, int64_t row) {
        const auto begin = from.begin() + row * kWidth;
        return Numbers(begin, begin + kWidth);
    };
    for (int64_t head = 0; head < kHeads; ++head) {
        EXPECT_LT(
            distance(head_of(found, 2 * kHeads + head), rounded(rotated(head_of(rows, head)))),
            kExact);
        EXPECT_LT(distance(head_of(found, head), rounded(rotated(head_of(rows, kHeads + head)))),
                  kExact);
        EXPECT_EQ(head_of(found, kHeads + head), Numbers(kWidth)) << "not written";
    }
}

// Attention over a rotated cache is attention over F32 caches that hold the same rows, rotated back.
TEST(RefAttention, RotatedCachesAreRotatedBack) {
    constexpr int64_t kCells = 8, kHeads = 2, kQueryHeads = 4, kTokens = 3;
    for (const auto &[width, value_width] : {std::pair<int64_t, int64_t>{32, 64}, {96, 128}}) {
        const Numbers keys = normal(static_cast<size_t>(kCells * kHeads * width), 4);
        const Numbers values = normal(static_cast<size_t>(kCells * kHeads * value_width), 5);
        const Numbers queries = normal(static_cast<size_t>(kTokens * kQueryHeads * width), 6);
        const auto in_runs = [](const Numbers &from, int64_t size, auto fn) {
            Numbers out;
            for (auto at = from.begin(); at != from.end(); at += size) {
                const Numbers row = fn(Numbers(at, at + size));
                out.insert(out.end(), row.begin(), row.end());
            }
            return out;
        };
        const auto attend = [&](DType key_type, DType value_type) {
            const auto stored = [&](const Numbers &from, int64_t size, DType type) {
                return in_runs(from, size, [&](const Numbers &row) {
                    const Numbers turned = rounded(rotated(row));
                    return type == DType::Q4_0 ? turned : rotated(turned);
                });
            };
            RefCase c;
            const TensorId q = c.input({kTokens, kQueryHeads, width}, queries);
            const TensorId k =
                c.state(key_type, {kCells, kHeads, width}, stored(keys, width, key_type));
            const TensorId v = c.state(value_type, {kCells, kHeads, value_width},
                                       stored(values, value_width, value_type));
            AttentionInputs inputs;
            inputs.positions = c.integers({kTokens}, {3, 5, 6});
            inputs.sequences = c.integers({kTokens}, {0, 0, 0});
            inputs.pages = c.integers({1, 2}, {1, 0});
            inputs.lengths = c.integers({1}, {7});
            AttentionParams params;
            params.page_size = 4;
            params.scale = 0.3f;
            return c.run(c.b.attention(q, k, v, inputs, kNoTensor, params));
        };
        // F32 states keep all digits of what they are given.
        const Numbers plain = attend(DType::F32, DType::F32);
        EXPECT_LT(distance(attend(DType::Q4_0, DType::Q4_0), plain), 1e-11);
        EXPECT_LT(distance(attend(DType::Q4_0, DType::F32), plain), 1e-11);
        EXPECT_LT(distance(attend(DType::F32, DType::Q4_0), plain), 1e-11);
    }
}

} // namespace
} // namespace realizar
