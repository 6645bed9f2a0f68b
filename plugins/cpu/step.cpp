#include "plugins/cpu/step.h"

namespace realizar::cpu {

View::View(const Region &region, uint32_t tensor) {
    const Tensor &t = region.tensors[tensor];
    storage_ = t.storage;
    symbol_ = t.symbol;
    rank_ = t.rank;
    offset_ = t.offset;
    elements_ = t.inner();
    if (t.rank > 1) {
        steps_ = t.dims[0];
        step_stride_ = t.strides[0];
        // Rank 3 has one dimension of rows, the inner one here.
        for (uint32_t d = 1; d + 1 < t.rank; ++d) {
            middle_[d + 3 - t.rank] = t.dims[d];
            strides_[d + 3 - t.rank] = t.strides[d];
        }
    }
    step_bytes_ = t.rank > 1 ? t.extent(1) : t.row_bytes();
    bytes_ = t.extent(t.dims[0]);
}

int64_t View::uniform_stride() const {
    if (rows() == 1) return step_stride_;
    const int64_t stride = middle_[1] > 1 ? strides_[1] : strides_[0];
    if (middle_[0] > 1 && middle_[1] > 1 && strides_[0] != middle_[1] * stride) return -1;
    return steps_ == 1 || step_stride_ == rows() * stride ? stride : -1;
}

bool View::disjoint(const View &other) const {
    if (offset_ + bytes_ <= other.offset_ || other.offset_ + other.bytes_ <= offset_) return true;
    if (step_stride_ != other.step_stride_ || !in_columns() || !other.in_columns()) return false;
    return column() + step_bytes_ <= other.column() ||
           other.column() + other.step_bytes_ <= column();
}

bool View::aligned(const View &other) const {
    if (steps_ == 1 && other.steps_ == 1) return true;
    return step_stride_ == other.step_stride_ && in_columns() && other.in_columns() &&
           offset_ / step_stride_ == other.offset_ / other.step_stride_;
}

bool View::same_layout(const View &other) const {
    return storage_ == other.storage_ && offset_ == other.offset_ && symbol_ == other.symbol_ &&
           steps_ == other.steps_ && elements_ == other.elements_ &&
           step_stride_ == other.step_stride_ && middle_[0] == other.middle_[0] &&
           middle_[1] == other.middle_[1] && strides_[0] == other.strides_[0] &&
           strides_[1] == other.strides_[1];
}

} // namespace realizar::cpu
