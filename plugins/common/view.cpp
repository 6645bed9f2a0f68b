#include "plugins/common/view.h"

namespace realizar::plugin {

View::View(const Region &region, uint32_t tensor) {
    const Tensor &t = region.tensors[tensor];
    storage_ = t.storage;
    dtype_ = t.dtype;
    offset_ = static_cast<uint64_t>(t.offset);
    unit_ = dtype_info(t.dtype).align;
    const uint32_t missing = 4 - t.rank;
    for (uint32_t d = 0; d < t.rank; ++d) {
        sizes_[missing + d] = static_cast<uint32_t>(t.dims[d]);
        strides_[missing + d] = t.strides[d];
    }
    if (t.symbol != RZ_NONE) {
        symbolic_ = missing;
        symbol_ = t.symbol;
    }
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
    stride = static_cast<uint32_t>(step / unit_);
    return true;
}

} // namespace realizar::plugin
