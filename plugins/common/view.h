// A tensor as planners and kernels see it: four dimensions, missing outer ones of size 1, and symbols
// that get their values with each submission.
#pragma once

#include "plugins/common/region.h"

#include <span>

namespace realizar::plugin {

using Symbols = std::span<const int64_t>;

class View {
  public:
    View() = default;
    View(const Region &region, uint32_t tensor);

    uint32_t storage() const { return storage_; }
    uint64_t offset() const { return offset_; } // bytes, in the storage
    rz_dtype dtype() const { return dtype_; }
    // Size of dimension d (0..3) in a submission; the largest one without symbols.
    uint32_t size(uint32_t d, Symbols symbols) const {
        return d == symbolic_ ? static_cast<uint32_t>(symbols[symbol_]) : sizes_[d];
    }
    uint32_t max_size(uint32_t d) const { return sizes_[d]; }
    uint32_t inner(Symbols symbols) const { return size(3, symbols); }
    uint32_t max_inner() const { return sizes_[3]; }
    uint32_t rows(Symbols symbols) const {
        return size(0, symbols) * size(1, symbols) * size(2, symbols);
    }
    uint32_t max_rows() const { return sizes_[0] * sizes_[1] * sizes_[2]; }
    uint32_t n1() const { return sizes_[1]; }
    uint32_t n2() const { return sizes_[2]; }
    // In units of the type's alignment: elements for plain types, 2 bytes for quantised ones.
    uint32_t stride(uint32_t d) const { return static_cast<uint32_t>(strides_[d] / unit_); }
    // One stride between all rows, or false.
    bool uniform(uint32_t &stride) const;

  private:
    uint32_t storage_ = RZ_NONE;
    rz_dtype dtype_ = RZ_DTYPE_F32;
    uint32_t symbolic_ = 4; // dimension with symbol_; 4: none
    uint32_t symbol_ = 0;
    uint32_t sizes_[4] = {1, 1, 1, 1};
    int64_t strides_[4] = {0, 0, 0, 0}; // bytes
    uint64_t offset_ = 0;
    int64_t unit_ = 1;
};

} // namespace realizar::plugin
