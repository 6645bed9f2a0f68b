#include "core/quant/codec.h"

#include "core/quant/block.h"

#include <array>
#include <cinttypes>
#include <cmath>

namespace realizar {
namespace {

// Every type that this build reads. A new one is a row here and a block struct in a file.
constexpr const Codec *kTable[] = {
    &kF32Codec,   &kF16Codec,     &kBF16Codec,  &kF64Codec,    &kI8Codec,      &kI16Codec,
    &kI32Codec,   &kI64Codec,     &kQ8_0Codec,  &kQ8_1Codec,   &kQ4_0Codec,    &kQ4_1Codec,
    &kQ5_0Codec,  &kQ5_1Codec,    &kQ2_KCodec,  &kQ3_KCodec,   &kQ4_KCodec,    &kQ5_KCodec,
    &kQ6_KCodec,  &kQ8_KCodec,    &kIQ1_SCodec, &kIQ1_MCodec,  &kIQ2_XXSCodec, &kIQ2_XSCodec,
    &kIQ2_SCodec, &kIQ3_XXSCodec, &kIQ3_SCodec, &kIQ4_NLCodec, &kIQ4_XSCodec,  &kTQ1_0Codec,
    &kTQ2_0Codec, &kMXFP4Codec,
};

// Both directions: `floats` values against `bytes` bytes.
Status check_sizes(DType dtype, uint64_t bytes, uint64_t floats, uint64_t row_elements) {
    const DTypeInfo &info = dtype_info(dtype);
    if (row_elements == 0 || row_elements % info.block_elements != 0 || floats % row_elements != 0)
        return make_error(Code::invalid_argument, "row_not_block_multiple",
                          "%s: expected rows of a multiple of %" PRIu32 " elements, found %" PRIu64
                          " values in rows of %" PRIu64,
                          info.name, info.block_elements, floats, row_elements);
    if (bytes != row_bytes(info, floats))
        return make_error(Code::invalid_argument, "size_mismatch",
                          "%s: expected %" PRIu64 " bytes for %" PRIu64 " values, found %" PRIu64,
                          info.name, row_bytes(info, floats), floats, bytes);
    return {};
}

} // namespace

const Codec *find_codec(DType dtype) {
    const auto row = std::ranges::find(kTable, dtype, &Codec::dtype);
    return row == std::end(kTable) ? nullptr : *row;
}

Status decode_rows(DType dtype, std::span<const std::byte> data, std::span<float> out,
                   uint64_t row_elements) {
    const Codec *codec = find_codec(dtype);
    if (codec == nullptr)
        return make_error(Code::unsupported, "no_codec",
                          "expected a type that can be decoded, found %s", dtype_info(dtype).name);
    RZ_TRY(check_sizes(dtype, data.size(), out.size(), row_elements));
    codec->decode(data.data(), out.data(), out.size());
    return {};
}

Status encode_rows(DType dtype, std::span<const float> values, std::span<std::byte> out,
                   uint64_t row_elements) {
    const Codec *codec = find_codec(dtype);
    if (codec == nullptr || codec->encode == nullptr)
        return make_error(Code::unsupported, "no_codec",
                          "expected a type that can be encoded, found %s", dtype_info(dtype).name);
    RZ_TRY(check_sizes(dtype, out.size(), values.size(), row_elements));
    codec->encode(values.data(), nullptr, out.data(), values.size());
    return {};
}

std::optional<uint64_t> find_non_finite(DType dtype, std::span<const std::byte> data) {
    const Codec *codec = find_codec(dtype);
    if (codec == nullptr) return std::nullopt;
    const DTypeInfo &info = dtype_info(dtype);
    std::array<float, 1024> values; // a multiple of every block
    const uint64_t chunk_bytes = row_bytes(info, values.size());
    for (uint64_t at = 0; at < data.size(); at += chunk_bytes) {
        const uint64_t bytes = std::min(chunk_bytes, data.size() - at);
        const uint64_t elements = bytes / info.block_bytes * info.block_elements;
        codec->decode(data.data() + at, values.data(), elements);
        const auto decoded = std::span(values).first(elements);
        const auto bad = std::ranges::find_if(decoded, [](float v) { return !std::isfinite(v); });
        if (bad != decoded.end())
            return at / info.block_bytes +
                   static_cast<uint64_t>(bad - decoded.begin()) / info.block_elements;
    }
    return std::nullopt;
}

} // namespace realizar
