#include "core/reference/ref_tensor.h"

#include "core/quant/codec.h"

#include <algorithm>
#include <cstring>

namespace realizar {
namespace {

const Codec *codec_of(rz_dtype dtype) {
    return find_dtype(dtype) == nullptr ? nullptr : find_codec(static_cast<DType>(dtype));
}

} // namespace

bool ref_can_decode(rz_dtype dtype) { return dtype == RZ_DTYPE_I32 || codec_of(dtype) != nullptr; }

bool ref_can_encode(rz_dtype dtype) {
    const Codec *codec = codec_of(dtype);
    return dtype == RZ_DTYPE_I32 || (codec != nullptr && codec->encode != nullptr);
}

// I32 goes its own way: a float could not hold all of its values. A step without tokens has rows
// without elements and perhaps without an address.
void ref_decode(rz_dtype dtype, const std::byte *bytes, std::span<double> out) {
    if (out.empty()) return;
    if (dtype == RZ_DTYPE_I32) {
        for (size_t i = 0; i < out.size(); ++i) {
            int32_t value;
            std::memcpy(&value, bytes + i * sizeof value, sizeof value);
            out[i] = value;
        }
        return;
    }
    std::vector<float> values(out.size());
    codec_of(dtype)->decode(bytes, values.data(), values.size());
    std::ranges::copy(values, out.begin());
}

void ref_encode(rz_dtype dtype, std::span<const double> values, std::byte *bytes) {
    if (values.empty()) return;
    if (dtype == RZ_DTYPE_I32) {
        for (size_t i = 0; i < values.size(); ++i) {
            const auto value = static_cast<int32_t>(values[i]);
            std::memcpy(bytes + i * sizeof value, &value, sizeof value);
        }
        return;
    }
    std::vector<float> floats(values.size());
    std::ranges::transform(values, floats.begin(), [](double v) { return static_cast<float>(v); });
    codec_of(dtype)->encode(floats.data(), nullptr, bytes, floats.size());
}

RefTensor::RefTensor(const rz_tensor &tensor, std::span<const int64_t> symbols, RefStorage storage)
    : dtype_(tensor.dtype), role_(tensor.role), rank_(tensor.rank), offset_(tensor.offset),
      info_(find_dtype(tensor.dtype)), storage_(storage) {
    for (uint32_t i = 0; i < rank_; ++i) {
        dims_[i] = resolve_dim(tensor.dims[i], symbols);
        strides_[i] = tensor.strides[i];
    }
}

int64_t RefTensor::rows() const {
    int64_t count = 1;
    for (uint32_t i = 0; i + 1 < rank_; ++i)
        count *= dims_[i];
    return count;
}

uint64_t RefTensor::row_offset(int64_t index) const {
    uint64_t offset = offset_;
    for (uint32_t i = rank_ - 1; i-- > 0;) {
        offset += static_cast<uint64_t>(index % dims_[i] * strides_[i]);
        index /= dims_[i];
    }
    return offset;
}

std::span<const double> RefTensor::row(int64_t index, std::vector<double> &scratch) const {
    const auto size = static_cast<size_t>(inner());
    const uint64_t offset = row_offset(index);
    if (storage_.numbers != nullptr)
        return {storage_.numbers + offset / info_->block_bytes * info_->block_elements, size};
    scratch.resize(size);
    ref_decode(dtype_, storage_.bytes + offset, scratch);
    return scratch;
}

void RefTensor::set_row(int64_t index, std::span<const double> values) {
    const uint64_t offset = row_offset(index);
    if (storage_.numbers == nullptr) {
        ref_encode(dtype_, values, storage_.bytes + offset);
        return;
    }
    const std::span<double> to{
        storage_.numbers + offset / info_->block_bytes * info_->block_elements, values.size()};
    if (role_ == RZ_ROLE_TEMP && (dtype_ == RZ_DTYPE_F32 || dtype_ == RZ_DTYPE_I32)) {
        std::ranges::copy(values, to.begin());
        return;
    }
    std::vector<std::byte> rounded(row_bytes(*info_, values.size()));
    ref_encode(dtype_, values, rounded.data());
    ref_decode(dtype_, rounded.data(), to);
}

void RefTensor::set_row_bytes(int64_t index, std::span<const std::byte> bytes) {
    const uint64_t offset = row_offset(index);
    if (storage_.numbers == nullptr) {
        std::ranges::copy(bytes, storage_.bytes + offset);
        return;
    }
    ref_decode(dtype_, bytes.data(),
               {storage_.numbers + offset / info_->block_bytes * info_->block_elements,
                static_cast<size_t>(inner())});
}

std::vector<int64_t> ref_integers(const RefTensor &tensor) {
    std::vector<int64_t> out;
    std::vector<double> scratch;
    for (int64_t r = 0; r < tensor.rows(); ++r)
        for (const double value : tensor.row(r, scratch))
            out.push_back(static_cast<int64_t>(value));
    return out;
}

} // namespace realizar
