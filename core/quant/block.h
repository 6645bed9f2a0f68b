// What the codec files share. Internal to core/quant.
//
// A block type is a struct with the exact bytes of the format and the members
//   static constexpr uint64_t kElements;
//   void decode(float *out) const;                              // kElements values
//   void encode(const float *values, const float *importance);  // optional; importance may be null
#pragma once

#include "core/quant/codec.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace realizar {

template <class Block>
void decode_blocks(const std::byte *in, float *out, uint64_t elements) {
    for (uint64_t i = 0; i < elements; i += Block::kElements, in += sizeof(Block)) {
        Block block;
        std::memcpy(&block, in, sizeof block);
        block.decode(out + i);
    }
}

template <class Block>
void encode_blocks(const float *values, const float *importance, std::byte *out,
                   uint64_t elements) {
    for (uint64_t i = 0; i < elements; i += Block::kElements, out += sizeof(Block)) {
        Block block{};
        block.encode(values + i, importance ? importance + i : nullptr);
        std::memcpy(out, &block, sizeof block);
    }
}

constexpr DTypeInfo block_layout(DType dtype) {
    switch (dtype) {
#define RZ_CASE(name, id, elements, bytes)                                                         \
    case DType::name: return {dtype, #name, elements, bytes};
        RZ_DTYPES(RZ_CASE)
#undef RZ_CASE
    }
    return {};
}

// The table row of a block type; a type without encode() is read-only.
template <DType dtype, class Block>
constexpr Codec block_codec() {
    static_assert(std::is_trivially_copyable_v<Block>);
    static_assert(sizeof(Block) == block_layout(dtype).block_bytes);
    static_assert(Block::kElements == block_layout(dtype).block_elements);
    if constexpr (requires(Block b) { b.encode(nullptr, nullptr); })
        return {dtype, decode_blocks<Block>, encode_blocks<Block>};
    else
        return {dtype, decode_blocks<Block>, nullptr};
}

// One constant per type, defined in the file of its family.
extern const Codec kF32Codec, kF16Codec, kBF16Codec, kF64Codec;
extern const Codec kI8Codec, kI16Codec, kI32Codec, kI64Codec;
extern const Codec kQ8_0Codec, kQ4_0Codec, kQ4_1Codec, kQ5_0Codec, kQ5_1Codec;
extern const Codec kQ2_KCodec, kQ3_KCodec, kQ4_KCodec, kQ5_KCodec, kQ6_KCodec, kQ8_KCodec;
extern const Codec kQ8_1Codec, kIQ4_NLCodec, kIQ4_XSCodec, kMXFP4Codec, kTQ1_0Codec, kTQ2_0Codec;
extern const Codec kIQ1_SCodec, kIQ1_MCodec, kIQ2_XXSCodec, kIQ2_XSCodec, kIQ2_SCodec;
extern const Codec kIQ3_XXSCodec, kIQ3_SCodec;

} // namespace realizar
