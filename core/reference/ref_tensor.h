// Tensors as the reference sees them: rows of doubles, wherever and however the bytes are kept.
#pragma once

#include "core/common/result.h"
#include "core/graph/layout.h"
#include "core/reference/reference.h"

#include <span>
#include <vector>

namespace realizar {

// Can this build turn such elements into numbers, and numbers into such elements?
bool ref_can_decode(rz_dtype dtype);
bool ref_can_encode(rz_dtype dtype);

// `count` elements (whole blocks) of a type that can be decoded, or encoded (rounded to nearest).
void ref_decode(rz_dtype dtype, const std::byte *bytes, std::span<double> out);
void ref_encode(rz_dtype dtype, std::span<const double> values, std::byte *bytes);

// Where the elements of one storage are: as numbers, or in their canonical bytes. One is set.
struct RefStorage {
    double *numbers = nullptr;
    std::byte *bytes = nullptr; // STATE is written through this; other roles are only read
};

// A tensor, view or not, at given symbol values. Its rows are the runs of the innermost dimension,
// counted row-major over the outer ones. The storage must outlive it.
class RefTensor {
  public:
    RefTensor(const rz_tensor &tensor, std::span<const int64_t> symbols, RefStorage storage);

    rz_dtype dtype() const { return dtype_; }
    uint32_t rank() const { return rank_; }
    int64_t dim(uint32_t i) const { return dims_[i]; }
    int64_t inner() const { return dims_[rank_ - 1]; }
    int64_t rows() const;

    // Row `index`. Numbers are returned in place, bytes are decoded into `scratch`.
    std::span<const double> row(int64_t index, std::vector<double> &scratch) const;
    // Stores a row. F32 and I32 results of nodes keep all digits; everything else is rounded to
    // the tensor's type.
    void set_row(int64_t index, std::span<const double> values);
    // Stores a row that is in the bytes of the tensor's type already.
    void set_row_bytes(int64_t index, std::span<const std::byte> bytes);

  private:
    uint64_t row_offset(int64_t index) const; // bytes in the canonical layout

    rz_dtype dtype_;
    rz_role role_;
    uint32_t rank_;
    int64_t dims_[RZ_MAX_RANK];
    int64_t strides_[RZ_MAX_RANK];
    uint64_t offset_;
    const DTypeInfo *info_;
    RefStorage storage_;
};

// The rows of a tensor that is read many times: each is decoded once, on first use.
class RefRows {
  public:
    explicit RefRows(const RefTensor &tensor)
        : tensor_(tensor), scratch_(static_cast<size_t>(tensor.rows())) {}
    std::span<const double> operator[](int64_t index) {
        std::vector<double> &scratch = scratch_[static_cast<size_t>(index)];
        return scratch.empty() ? tensor_.row(index, scratch) : std::span<const double>(scratch);
    }

  private:
    const RefTensor &tensor_;
    std::vector<std::vector<double>> scratch_;
};

// The integers of an I32 tensor, row-major.
std::vector<int64_t> ref_integers(const RefTensor &tensor);

} // namespace realizar
