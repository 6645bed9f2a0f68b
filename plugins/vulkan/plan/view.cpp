#include "plugins/vulkan/plan/view.h"

namespace realizar::vulkan {

View::View(const Region &region, uint32_t tensor) {
    const Tensor &t = region.tensors[tensor];
    const plugin::DTypeInfo type = plugin::dtype_info(t.dtype);
    storage_ = t.storage;
    dtype_ = t.dtype;
    offset_ = static_cast<uint64_t>(t.offset);
    const uint32_t missing = 4 - t.rank;
    for (uint32_t d = 0; d < t.rank; ++d) {
        sizes_[missing + d] = static_cast<uint32_t>(t.dims[d]);
        strides_[missing + d] = t.strides[d];
    }
    if (t.symbol != RZ_NONE) {
        symbolic_ = missing;
        symbol_ = t.symbol;
    }
    row_bytes_per_block_ = type.bytes;
    block_ = type.elements;
    unit_ = type.align;
}

bool View::uniform(uint32_t &stride) const {
    int64_t step = 0, span = 1; // rows below dimension d
    for (int d = 2; d >= 0; --d) {
        if (sizes_[d] == 1 && static_cast<uint32_t>(d) != symbolic_) continue;
        if (step == 0)
            step = strides_[d];
        else if (strides_[d] != step * span)
            return false;
        span *= sizes_[d];
    }
    stride = static_cast<uint32_t>(step / static_cast<int64_t>(unit_));
    return true;
}

uint64_t View::extent(Symbols symbols) const {
    uint64_t bytes = inner(symbols) / block_ * row_bytes_per_block_;
    for (uint32_t d = 0; d < 3; ++d) {
        const uint32_t n = size(d, symbols);
        if (n == 0) return 0;
        bytes += uint64_t{n - 1} * static_cast<uint64_t>(strides_[d]);
    }
    return bytes;
}

} // namespace realizar::vulkan
