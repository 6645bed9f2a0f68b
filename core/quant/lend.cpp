#include "core/quant/lend.h"

#include "core/quant/codec.h"

namespace realizar {
namespace {

rz_code decode(rz_dtype dtype, const void *blocks, float *out, uint64_t elements) {
    const DTypeInfo *info = find_dtype(dtype);
    const Codec *codec = info ? find_codec(info->dtype) : nullptr;
    if (codec == nullptr) return RZ_UNSUPPORTED;
    if (elements % info->block_elements != 0 || (elements > 0 && (!blocks || !out)))
        return RZ_INVALID_ARGUMENT;
    codec->decode(static_cast<const std::byte *>(blocks), out, elements);
    return RZ_OK;
}

constexpr rz_ext_decode kDecoders = {sizeof(rz_ext_decode), 0, decode};

} // namespace

const rz_ext_decode *lent_decoders() { return &kDecoders; }

} // namespace realizar
