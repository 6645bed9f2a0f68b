// Every decoder against float64 arithmetic on the published layout, over random blocks.
#include "random_blocks.h"

#include <gtest/gtest.h>

#include <limits>

namespace realizar {
namespace {

using namespace test;

// Elements that differ from the oracle by more than rounding allows. A decoder does at most three
// roundings, each of at most half a unit in the last place of a term.
uint64_t mismatches(DType dtype, const std::vector<uint8_t> &bytes,
                    const std::vector<float> &values) {
    const DTypeInfo &info = dtype_info(dtype);
    uint64_t count = 0;
    for (uint64_t i = 0; i < values.size(); ++i) {
        const uint8_t *block = bytes.data() + i / info.block_elements * info.block_bytes;
        const Exact exact = exact_element(dtype, block, i % info.block_elements);
        const double tolerance = 4 * std::numeric_limits<float>::epsilon() / 2 * exact.magnitude;
        if (!(std::fabs(values[i] - exact.value) <= tolerance)) ++count;
    }
    return count;
}

class Decode : public testing::TestWithParam<DType> {};

TEST_P(Decode, EqualsTheLayout) {
    const DType dtype = GetParam();
    ASSERT_TRUE(has_oracle(dtype));
    std::mt19937 random(static_cast<uint32_t>(dtype) + 1);
    const DTypeInfo &info = dtype_info(dtype);
    for (const uint64_t blocks : {1, 2, 3, 65}) {
        const auto bytes = random_blocks(dtype, blocks, random);
        const auto values = decoded(dtype, bytes.data(), blocks * info.block_elements);
        EXPECT_EQ(mismatches(dtype, bytes, values), 0u);
    }
}

// Negative control: one flipped bit anywhere in a block changes what the oracle expects, unless the
// bit is not used by the format.
TEST_P(Decode, OneFlippedBitIsNoticed) {
    const DType dtype = GetParam();
    std::mt19937 random(7);
    const DTypeInfo &info = dtype_info(dtype);
    const auto bytes = random_blocks(dtype, 1, random);
    const auto values = decoded(dtype, bytes.data(), info.block_elements);
    uint64_t unnoticed = 0;
    for (uint64_t bit = 0; bit < bytes.size() * 8; ++bit) {
        auto changed = bytes;
        changed[bit / 8] = static_cast<uint8_t>(changed[bit / 8] ^ 1 << bit % 8);
        unnoticed += mismatches(dtype, changed, values) == 0;
    }
    // A scale of zero hides the levels below it; wide numbers have low bits that float32 drops.
    const bool wide = dtype == DType::F64 || dtype == DType::I32 || dtype == DType::I64;
    EXPECT_LT(unnoticed, wide ? bytes.size() * 6 : bytes.size());
}

std::vector<DType> readable_types() {
    std::vector<DType> types;
    for (const DTypeInfo &info : dtype_table())
        if (find_codec(info.dtype)) types.push_back(info.dtype);
    return types;
}
INSTANTIATE_TEST_SUITE_P(AllTypes, Decode, testing::ValuesIn(readable_types()),
                         [](const auto &row) { return dtype_info(row.param).name; });

TEST(Half, AllFloat16ValuesDecode) {
    for (uint32_t bits = 0; bits < 65536; ++bits) {
        const auto half = static_cast<uint16_t>(bits);
        const double expected = exact_f16(half);
        const float found = f16_to_f32(half);
        if (std::isnan(expected)) {
            EXPECT_TRUE(std::isnan(found)) << bits;
            EXPECT_EQ(f32_to_f16(found) & 0x7C00, 0x7C00);
            EXPECT_NE(f32_to_f16(found) & 0x3FF, 0);
        } else {
            EXPECT_EQ(found, expected) << bits;
            EXPECT_EQ(std::signbit(found), std::signbit(expected)) << bits;
            EXPECT_EQ(f32_to_f16(found), half);
        }
    }
}

// Between neighbours: below the middle down, above it up, in the middle to the even one.
TEST(Half, Float16RoundsToNearestEven) {
    for (uint32_t bits = 0; bits < 0x7C00; ++bits) {
        const auto lower = static_cast<uint16_t>(bits), upper = static_cast<uint16_t>(bits + 1);
        // The step above the largest finite value ends where Inf begins.
        const double low = exact_f16(lower), high = upper == 0x7C00 ? 65536 : exact_f16(upper);
        const auto middle = static_cast<float>((low + high) / 2);
        ASSERT_EQ(middle, (low + high) / 2);
        EXPECT_EQ(f32_to_f16(middle), bits % 2 ? upper : lower) << bits;
        EXPECT_EQ(f32_to_f16(std::nextafter(middle, 0.0f)), lower) << bits;
        EXPECT_EQ(f32_to_f16(std::nextafter(middle, 1e6f)), upper) << bits;
        EXPECT_EQ(f32_to_f16(-middle), 0x8000 | (bits % 2 ? upper : lower)) << bits;
    }
    EXPECT_EQ(f32_to_f16(std::numeric_limits<float>::infinity()), 0x7C00);
    EXPECT_EQ(f32_to_f16(std::numeric_limits<float>::max()), 0x7C00);
    EXPECT_EQ(f32_to_f16(std::numeric_limits<float>::denorm_min()), 0);
}

TEST(Half, Bfloat16RoundsToNearestEven) {
    for (uint32_t bits = 0; bits < 0x7F80; ++bits) {
        const auto lower = static_cast<uint16_t>(bits), upper = static_cast<uint16_t>(bits + 1);
        EXPECT_EQ(f32_to_bf16(bf16_to_f32(lower)), lower);
        const float middle = std::bit_cast<float>(bits << 16 | 0x8000);
        EXPECT_EQ(f32_to_bf16(middle), bits % 2 ? upper : lower) << bits;
        EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(bits << 16 | 0x7FFF)), lower) << bits;
        EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(bits << 16 | 0x8001)), upper) << bits;
    }
    EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7F800001u)))));
    EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0xFFFFFFFFu)))));
}

TEST(Rows, SizesAreChecked) {
    std::vector<std::byte> bytes(34 * 4);
    std::vector<float> values(128);
    EXPECT_TRUE(decode_rows(DType::Q8_0, bytes, values, 64).ok());
    EXPECT_TRUE(encode_rows(DType::Q8_0, values, bytes, 64).ok());
    EXPECT_EQ(decode_rows(DType::Q8_0, bytes, values, 16).error().tag, "row_not_block_multiple");
    EXPECT_EQ(decode_rows(DType::Q8_0, bytes, values, 96).error().tag, "row_not_block_multiple");
    EXPECT_EQ(decode_rows(DType::Q8_0, bytes, values, 0).error().tag, "row_not_block_multiple");
    EXPECT_EQ(decode_rows(DType::Q8_0, std::span(bytes).first(100), values, 64).error().tag,
              "size_mismatch");
    EXPECT_EQ(encode_rows(DType::I32, values, bytes, 64).error().tag, "no_codec");
    EXPECT_EQ(decode_rows(DType::TQ1_0, bytes, values, 256).error().tag, "no_codec");
}

TEST(AllFinite, FindsNaNAndInfiniteScales) {
    std::mt19937 random(5);
    for (const DType dtype :
         {DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_K, DType::Q6_K}) {
        auto bytes = random_blocks(dtype, 3000, random);
        EXPECT_TRUE(all_finite(dtype, std::as_bytes(std::span(bytes)))) << dtype_info(dtype).name;
        const uint32_t size = dtype_info(dtype).block_bytes;
        // The last two bytes of a float hold its exponent; Q4_K and Q8_0 begin with their scale.
        const uint32_t offset = dtype == DType::F32 ? 2 : dtype == DType::Q6_K ? 208 : 0;
        const uint16_t bad = dtype == DType::F32 || dtype == DType::BF16 ? 0x7FC0 : 0x7C00;
        std::memcpy(bytes.data() + uint64_t(2777) * size + offset, &bad, sizeof bad);
        EXPECT_FALSE(all_finite(dtype, std::as_bytes(std::span(bytes)))) << dtype_info(dtype).name;
    }
}

} // namespace
} // namespace realizar
