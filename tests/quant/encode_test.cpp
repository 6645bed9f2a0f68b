// Encoders: error against bounds derived from the step, against a naive quantiser, and exactness on
// values that the format can hold.
#include "random_blocks.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

namespace realizar {
namespace {

using namespace test;

TEST(Encode, PlainTypesRoundToNearest) {
    std::mt19937 random(1);
    const auto values = random_weights(4096, random);
    EXPECT_EQ(round_trip(DType::F32, values), values);
    const auto half = round_trip(DType::F16, values), brain = round_trip(DType::BF16, values);
    for (size_t i = 0; i < values.size(); ++i) {
        // Half a unit in the last place: 11 and 8 significant bits; below 2^-14 steps of 2^-24.
        EXPECT_LE(std::fabs(half[i] - values[i]),
                  std::max(std::fabs(values[i]) * 0x1p-11f, 0x1p-25f));
        EXPECT_LE(std::fabs(brain[i] - values[i]), std::fabs(values[i]) * 0x1p-8f);
    }
}

TEST(Encode, IntegersRoundAndSaturate) {
    const std::vector<float> values = {0.4f, -1.5f, 2.5f, 300, -40000, 3e10f, -1e30f, NAN};
    EXPECT_EQ(round_trip(DType::I8, values),
              (std::vector<float>{0, -2, 2, 127, -128, 127, -128, 0}));
    EXPECT_EQ(round_trip(DType::I16, values),
              (std::vector<float>{0, -2, 2, 300, -32768, 32767, -32768, 0}));
    EXPECT_EQ(round_trip(DType::I32, values),
              (std::vector<float>{0, -2, 2, 300, -40000, 0x1p31f, -0x1p31f, 0}));
    EXPECT_EQ(round_trip(DType::I64, values),
              (std::vector<float>{0, -2, 2, 300, -40000, 3e10f, -0x1p63f, 0}));
}

// The sums go with the levels: what the other operand's minimum is multiplied with.
TEST(Encode, Q8_1HoldsTheSumOfItsLevels) {
    std::mt19937 random(9);
    const auto values = random_weights(32 * 50, random);
    const auto bytes = encoded(DType::Q8_1, values);
    EXPECT_EQ(decoded(DType::Q8_1, bytes.data(), values.size()), round_trip(DType::Q8_0, values));
    for (size_t block = 0; block < 50; ++block) {
        double sum = 0;
        for (const float value : decoded(DType::Q8_1, bytes.data() + 36 * block, 32))
            sum += value;
        uint16_t stored;
        std::memcpy(&stored, bytes.data() + 36 * block + 2, 2);
        EXPECT_NEAR(exact_f16(stored), sum, std::fabs(sum) * 0x1p-11 + 0x1p-25);
    }
}

// No scale and no choice of magnitudes that get a level beats the encoder's, by brute force.
TEST(Encode, TernaryScalesAreTheBest) {
    std::mt19937 random(10);
    for (int i = 0; i < 20; ++i) {
        const auto values = random_weights(256, random);
        std::vector<float> weights(256, 1.0f);
        double squares = 0;
        for (const float value : values)
            squares += double(value) * value;
        for (size_t j = 0; j < 256; ++j) // as all encoders weigh
            weights[j] = static_cast<float>(std::sqrt(squares / 256 + values[j] * values[j]));
        const auto error = [&](const std::vector<float> &found) {
            double sum = 0;
            for (size_t j = 0; j < 256; ++j)
                sum += weights[j] * std::pow(found[j] - values[j], 2);
            return sum;
        };
        double best = INFINITY;
        for (int step = 1; step < 2000; ++step) {
            const float scale = 1e-4f * static_cast<float>(step);
            std::vector<float> found(256);
            for (size_t j = 0; j < 256; ++j)
                found[j] = scale * std::clamp(std::nearbyint(values[j] / scale), -1.0f, 1.0f);
            best = std::min(best, error(found));
        }
        const auto packed = round_trip(DType::TQ1_0, values);
        EXPECT_EQ(packed, round_trip(DType::TQ2_0, values));
        EXPECT_LE(error(packed), best * 1.001);
    }
}

// The step is peak / 127. Rounding costs half of it; a scale rounded down in float16 (relative
// 2^-11) lets the peak overshoot 127 steps by 127 * 2^-11 of a step.
TEST(Encode, Q8_0StaysWithinHalfAStep) {
    std::mt19937 random(2);
    const auto values = random_weights(32 * 200, random);
    const auto found = round_trip(DType::Q8_0, values);
    for (size_t block = 0; block < values.size(); block += 32) {
        float peak = 0;
        for (size_t i = block; i < block + 32; ++i)
            peak = std::max(peak, std::fabs(values[i]));
        for (size_t i = block; i < block + 32; ++i)
            EXPECT_LE(std::fabs(found[i] - values[i]),
                      peak / 127 * (0.5f * (1 + 0x1p-10f) + 127 * 0x1p-11f));
    }
}

// Naive quantisers with the same number of levels and no search: symmetric with the peak on the
// highest level, or from minimum to maximum. Scales stay in float64, which flatters them.
double naive_error(const std::vector<float> &values, size_t block, int levels, bool affine) {
    double sum = 0;
    for (size_t start = 0; start < values.size(); start += block) {
        double low = 0, high = 0, peak = 0;
        for (size_t i = start; i < start + block; ++i) {
            low = std::min(low, double(values[i]));
            high = std::max(high, double(values[i]));
            peak = std::max(peak, std::fabs(double(values[i])));
        }
        const double step = affine ? (high - low) / (levels - 1) : peak / (levels / 2 - 1);
        const double origin = affine ? low : 0;
        for (size_t i = start; i < start + block; ++i) {
            const double level = step > 0 ? std::nearbyint((values[i] - origin) / step) : 0;
            sum += std::pow(values[i] - (origin + step * level), 2);
        }
    }
    return sum;
}

struct Quality {
    DType dtype;
    size_t sub_block;
    int levels;
    bool affine;
    // Largest share of the naive quantiser's squared error that passes. Below 1: the search must
    // gain something. Q6_K's scales have 7 bits where the naive ones are exact: it may lose a little.
    double share;
};

class EncodeQuality : public testing::TestWithParam<Quality> {};

TEST_P(EncodeQuality, BeatsTheNaiveQuantiser) {
    const Quality &q = GetParam();
    std::mt19937 random(3);
    const auto values = random_weights(256 * 256, random);
    const double found = squared_error(round_trip(q.dtype, values), values);
    const double naive = naive_error(values, q.sub_block, q.levels, q.affine);
    RecordProperty("share_of_naive", std::to_string(found / naive));
    EXPECT_LT(found, q.share * naive) << found / naive;
    EXPECT_GT(found, 0.3 * naive) << "too good to be true";
}

// Each value lies within its sub-block's range, so no error exceeds a few steps, and the mean
// square is that of uniform rounding, step^2 / 12, times the slack of coded scales.
TEST_P(EncodeQuality, ErrorIsBoundedByTheStep) {
    const Quality &q = GetParam();
    std::mt19937 random(4);
    const auto values = random_weights(256 * 64, random);
    const auto found = round_trip(q.dtype, values);
    double steps = 0;
    for (size_t start = 0; start < values.size(); start += q.sub_block) {
        const auto [low, high] =
            std::minmax_element(values.begin() + start, values.begin() + start + q.sub_block);
        const double range = q.affine ? std::max(*high, 0.0f) - std::min(*low, 0.0f)
                                      : 2 * std::max(std::fabs(*low), std::fabs(*high));
        const double step = range / (q.levels - 1);
        steps += step * step / 12 * static_cast<double>(q.sub_block);
        for (size_t i = start; i < start + q.sub_block; ++i)
            EXPECT_LE(std::fabs(found[i] - values[i]), 4.5 * step) << i;
    }
    EXPECT_LT(squared_error(found, values), 1.1 * steps);
    // Negative control: one element in 64, wrong by eight times the usual error, is noticed.
    auto wrong = found;
    for (size_t i = 0; i < wrong.size(); i += 64)
        wrong[i] += static_cast<float>(8 * std::sqrt(steps / static_cast<double>(wrong.size())));
    EXPECT_GT(squared_error(wrong, values), 1.1 * steps);
}

TEST_P(EncodeQuality, ImportanceMovesTheError) {
    const Quality &q = GetParam();
    std::mt19937 random(5);
    const auto values = random_weights(256 * 64, random);
    std::vector<float> importance(values.size());
    for (size_t i = 0; i < importance.size(); ++i)
        importance[i] = i % 4 == 0 ? 100.0f : 1.0f;
    const auto even = round_trip(q.dtype, values),
               steered = round_trip(q.dtype, values, importance.data());
    double even_error = 0, steered_error = 0;
    for (size_t i = 0; i < values.size(); i += 4) {
        even_error += std::pow(even[i] - values[i], 2);
        steered_error += std::pow(steered[i] - values[i], 2);
    }
    EXPECT_LT(steered_error, 0.9 * even_error);
}

INSTANTIATE_TEST_SUITE_P(Types, EncodeQuality,
                         testing::Values(Quality{DType::Q4_0, 32, 16, false, 0.8},
                                         Quality{DType::Q5_0, 32, 32, false, 0.9},
                                         Quality{DType::Q4_1, 32, 16, true, 0.9},
                                         Quality{DType::Q5_1, 32, 32, true, 1.0},
                                         Quality{DType::Q2_K, 16, 4, true, 0.9},
                                         Quality{DType::Q3_K, 16, 8, false, 0.8},
                                         Quality{DType::Q4_K, 32, 16, true, 0.9},
                                         Quality{DType::Q5_K, 32, 32, true, 1.0},
                                         Quality{DType::Q6_K, 16, 64, false, 1.0},
                                         Quality{DType::IQ4_NL, 32, 16, false, 0.8},
                                         Quality{DType::IQ4_XS, 32, 16, false, 0.8}),
                         [](const auto &row) { return dtype_info(row.param.dtype).name; });

TEST(Encode, MoreBitsMeanLessError) {
    std::mt19937 random(6);
    const auto values = random_weights(256 * 64, random);
    const auto error = [&](DType dtype) {
        return squared_error(round_trip(dtype, values), values);
    };
    EXPECT_LT(error(DType::F16), 0.01 * error(DType::Q8_0));
    EXPECT_LT(error(DType::Q8_0), error(DType::Q6_K));
    EXPECT_LT(error(DType::Q6_K), 0.2 * error(DType::Q4_K));
    EXPECT_LT(error(DType::Q4_K), error(DType::Q4_0));
}

// Blocks made by the format itself, with scales that are powers of two and the extreme codes and
// levels present, so that the encoder can find them again: it must, to the last bit.
void expect_exact(DType dtype, const std::function<void(uint8_t *, std::mt19937 &)> &prepare) {
    std::mt19937 random(8);
    const DTypeInfo &info = dtype_info(dtype);
    for (int i = 0; i < 50; ++i) {
        auto bytes = random_blocks(dtype, 1, random);
        prepare(bytes.data(), random);
        const auto values = decoded(dtype, bytes.data(), info.block_elements);
        EXPECT_EQ(round_trip(dtype, values), values) << info.name << " block " << i;
    }
}

const uint16_t kScale = 0x2400; // 2^-6

TEST(Encode, FindsExactBlocks) {
    expect_exact(DType::Q8_0, [](uint8_t *b, std::mt19937 &random) {
        std::memcpy(b, &kScale, 2);
        for (int i = 2; i < 34; ++i)
            if (b[i] == 0x80) b[i] = 0;
        b[2 + random() % 32] = 127;
    });
    expect_exact(DType::MXFP4, [](uint8_t *b, std::mt19937 &random) {
        b[0] = static_cast<uint8_t>(100 + random() % 40);
        b[1] = static_cast<uint8_t>((b[1] & 0xF0) | 7); // the highest level
    });
    for (const DType dtype : {DType::TQ1_0, DType::TQ2_0})
        expect_exact(dtype, [=](uint8_t *b, std::mt19937 &random) {
            std::vector<float> levels(256);
            for (float &level : levels)
                level = static_cast<float>(static_cast<int>(random() % 3) - 1) * 0x1p-6f;
            std::memcpy(b, encoded(dtype, levels).data(), dtype_info(dtype).block_bytes);
            EXPECT_EQ(decoded(dtype, b, 256), levels);
        });
    expect_exact(DType::Q4_0, [](uint8_t *b, std::mt19937 &random) {
        std::memcpy(b, &kScale, 2);
        b[2 + random() % 16] &= 0xF0; // level -8
    });
    expect_exact(DType::Q4_K, [](uint8_t *b, std::mt19937 &) {
        std::memcpy(b, &kScale, 2);
        std::memcpy(b + 2, &kScale, 2);
        b[4] |= 63; // scale and minimum of sub-block 0 at their largest
        b[8] |= 63;
        for (int j = 0; j < 4; ++j) { // no scale of zero, and levels 0 and 15 in every sub-block
            b[4 + j] |= 1;
            b[12 + j] |= 1;
            b[16 + 32 * j] = 0;
            b[17 + 32 * j] = 0xFF;
        }
    });
    expect_exact(DType::Q6_K, [](uint8_t *b, std::mt19937 &) {
        std::memcpy(b + 208, &kScale, 2);
        for (int j = 0; j < 16; ++j)
            b[192 + j] = static_cast<uint8_t>(b[192 + j] % 100 + 20); // positive, far from zero
        b[192] = 127;
        for (int half = 0; half < 2; ++half) // element 0 of every sub-block at level -32
            for (int i = 0; i < 32; i += 16) {
                b[64 * half + i] = 0;
                b[64 * half + 32 + i] = 0;
                b[128 + 32 * half + i] = 0;
            }
    });
}

// Nothing undefined, nothing infinite out of finite input, zeros stay zeros.
TEST(Encode, ExtremeValues) {
    constexpr float kInf = std::numeric_limits<float>::infinity();
    for (const DTypeInfo &info : dtype_table()) {
        const Codec *codec = find_codec(info.dtype);
        if (codec == nullptr || codec->encode == nullptr || info.block_elements == 1) continue;
        SCOPED_TRACE(info.name);
        const auto constant = [&](float v) {
            return round_trip(info.dtype, std::vector<float>(256, v));
        };
        for (const float value : constant(0))
            EXPECT_EQ(value, 0);
        for (const float magnitude : {1e-30f, 1e-8f, 1e-4f, 1.0f, 1e4f, 1e30f})
            for (const float value : constant(magnitude))
                EXPECT_TRUE(std::isfinite(value)) << magnitude;
        EXPECT_NEAR(constant(1)[17], 1, 0.02);
        EXPECT_NEAR(constant(-1)[17], -1, 0.02);
        constant(kInf);
        constant(std::numeric_limits<float>::quiet_NaN());
        std::vector<float> mixed(256, 0.5f);
        mixed[3] = kInf, mixed[70] = -kInf, mixed[140] = std::numeric_limits<float>::quiet_NaN();
        round_trip(info.dtype, mixed);
    }
}

} // namespace
} // namespace realizar
