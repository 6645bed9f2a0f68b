// Every decoder against float64 arithmetic on the published layout, over random blocks.
#include "random_blocks.h"

#include "core/quant/grids.h"

#include <gtest/gtest.h>

#include <array>
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
TEST(Codecs, EveryTypeIsReadAllButTheGridTypesWritten) {
    for (const DTypeInfo &info : dtype_table()) {
        const Codec *codec = find_codec(info.dtype);
        ASSERT_NE(codec, nullptr) << info.name;
        const std::string_view name = info.name;
        const bool grid =
            name.starts_with("IQ1") || name.starts_with("IQ2") || name.starts_with("IQ3");
        EXPECT_EQ(codec->encode == nullptr, grid) << info.name;
    }
}

INSTANTIATE_TEST_SUITE_P(AllTypes, Decode, testing::ValuesIn(readable_types()),
                         [](const auto &row) { return dtype_info(row.param).name; });

// The layouts by hand: byte i of the block is 37 i + 11 but for the scale, which is 0.25; the values
// are those that the authors of the format decode it to.
struct Golden {
    DType dtype;
    int scale_at; // -1: the bytes as they are
    float factor; // of the values
    float values[5];
};
constexpr Golden kGolden[] = {
    {DType::Q8_1, 0, 0.25f, {-97, 88, -17, -88, 26}}, // at 0, 5, 16, 21 and 31
    {DType::MXFP4, -1, 0x1p-117f, {0, -1, 3, -8, 6}},
    {DType::IQ2_XXS, 0, 1, {-14.78125f, 2.75f, 8.59375f, 6.75f, -20.15625f}}, // 0, 7, 13, 100, 255
    {DType::IQ2_XS, 0, 1, {-2.75f, -2.75f, -2.75f, -2.25f, -4.75f}},
    {DType::IQ2_S, 0, 1, {-36.28125f, -6.75f, 6.75f, -6.25f, 19.53125f}},
    {DType::IQ3_XXS, 0, 1, {-3.25f, -1.25f, -0.75f, -6.25f, -3.75f}},
    {DType::IQ3_S, 0, 1, {-20.25f, -20.25f, -6.75f, -4.25f, 56.25f}},
    {DType::IQ1_S, 0, 1, {-0.65625f, 0.09375f, -0.65625f, 3.28125f, -1.09375f}},
    {DType::IQ1_M, -1, 1, {52920, 52920, 52920, 204120, 113400}},
    {DType::TQ1_0, 52, 0.25f, {-1, -1, 1, 1, -1}},
    {DType::TQ2_0, 64, 0.25f, {2, 1, -1, 1, -1}},
};

TEST(Layouts, PublishedBlocks) {
    for (const Golden &golden : kGolden) {
        const DTypeInfo &info = dtype_info(golden.dtype);
        std::vector<uint8_t> bytes(info.block_bytes);
        for (size_t i = 0; i < bytes.size(); ++i)
            bytes[i] = static_cast<uint8_t>(37 * i + 11);
        const uint16_t quarter = 0x3400;
        if (golden.scale_at >= 0) std::memcpy(bytes.data() + golden.scale_at, &quarter, 2);
        const auto values = decoded(golden.dtype, bytes.data(), info.block_elements);
        const std::array<size_t, 5> at = info.block_elements == 32
                                             ? std::array<size_t, 5>{0, 5, 16, 21, 31}
                                             : std::array<size_t, 5>{0, 7, 13, 100, 255};
        for (size_t i = 0; i < at.size(); ++i)
            EXPECT_EQ(values[at[i]], golden.factor * golden.values[i]) << info.name << " " << at[i];
    }
}

// FNV-1a over all magnitudes (or levels, as bytes) of a grid: no figure was mistyped.
template <size_t n>
uint64_t fingerprint(const uint16_t (&grid)[n], unsigned per_row, std::span<const int> levels) {
    uint64_t hash = 0xcbf29ce484222325;
    const unsigned bits = 16 / per_row - (per_row == 4); // 2 or 3
    for (const uint16_t row : grid)
        for (unsigned j = 0; j < per_row; ++j) {
            const int level = levels[row >> (bits * j) & ((1u << bits) - 1)];
            hash = (hash ^ static_cast<uint8_t>(level)) * 0x100000001b3;
        }
    return hash;
}

TEST(Grids, AreThePublishedOnes) {
    constexpr int k1[] = {-1, 0, 1, 0}, k2[] = {8, 25, 43, 0};
    constexpr int k3xxs[] = {4, 12, 20, 28, 36, 44, 52, 62}, k3s[] = {1, 3, 5, 7, 9, 11, 13, 15};
    EXPECT_EQ(fingerprint(kGrid1, 8, k1), 0x6703ed863501ae2e);
    EXPECT_EQ(fingerprint(kGrid2XXS, 8, k2), 0xbb4ee025b5ac6e8e);
    EXPECT_EQ(fingerprint(kGrid2XS, 8, k2), 0xc9b1ee61e79909bd);
    EXPECT_EQ(fingerprint(kGrid2S, 8, k2), 0x123edd38a3b62b90);
    EXPECT_EQ(fingerprint(kGrid3XXS, 4, k3xxs), 0xdfa5dc83d6a155d5);
    EXPECT_EQ(fingerprint(kGrid3S, 4, k3s), 0xfa37020c25b44829);
}

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
    EXPECT_EQ(encode_rows(DType::IQ2_XS, values, bytes, 64).error().tag, "no_codec");
    EXPECT_EQ(decode_rows(DType::TQ1_0, bytes, values, 128).error().tag, "row_not_block_multiple");
}

// Every type with a float in its blocks, at any of its scales, in any block: the block is named.
TEST(FindNonFinite, NamesTheBlock) {
    std::mt19937 random(5);
    for (const DTypeInfo &info : dtype_table()) {
        const std::string_view name = info.name;
        if (name.starts_with("I") && !name.starts_with("IQ")) continue; // integers
        SCOPED_TRACE(name);
        const auto clean = random_blocks(info.dtype, 3000, random);
        EXPECT_EQ(find_non_finite(info.dtype, std::as_bytes(std::span(clean))), std::nullopt);
        std::vector<uint32_t> offsets(f16_offsets(info.dtype).begin(),
                                      f16_offsets(info.dtype).end());
        if (info.dtype == DType::Q8_1) offsets.pop_back(); // the sum: not a part of the values
        if (offsets.empty()) offsets.push_back(0);
        for (const uint32_t offset : offsets) {
            const uint64_t block = random() % 3000;
            auto bytes = clean;
            uint8_t *at = bytes.data() + block * info.block_bytes + offset;
            const float f32 = INFINITY;
            const double f64 = NAN;
            const uint16_t f16 = random() % 2 ? 0x7C00 : 0xFE00, bf16 = 0xFF80;
            if (info.dtype == DType::F32 || info.dtype == DType::Q8_K)
                std::memcpy(at, &f32, sizeof f32);
            else if (info.dtype == DType::F64)
                std::memcpy(at, &f64, sizeof f64);
            else if (info.dtype == DType::BF16)
                std::memcpy(at, &bf16, sizeof bf16);
            else if (info.dtype == DType::MXFP4)
                *at = 255;
            else if (info.dtype == DType::IQ1_M)
                for (int i = 49; i < 56; i += 2)
                    at[i] = static_cast<uint8_t>((at[i] & 15) | (i < 54 ? 0 : 0x70) |
                                                 (i == 53 ? 0xC0 : 0));
            else
                std::memcpy(at, &f16, sizeof f16);
            EXPECT_EQ(find_non_finite(info.dtype, std::as_bytes(std::span(bytes))), block)
                << offset;
        }
    }
}

} // namespace
} // namespace realizar
