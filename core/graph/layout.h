// Sizes and addresses of tensors: the arithmetic behind dims, strides and symbols.
#pragma once

#include "core/graph/graph.h"

#include <span>

namespace realizar {

// Bounds of a well-formed graph. They keep every product below 2^63.
inline constexpr int64_t kMaxDim = int64_t{1} << 40;
inline constexpr uint64_t kMaxTensorBytes = uint64_t{1} << 60;

// The elements of an ABI graph's arrays; the stride is in bytes and may exceed our struct.
inline const rz_tensor &tensor_at(const rz_graph &graph, uint32_t index) {
    const auto *base = reinterpret_cast<const std::byte *>(graph.tensors);
    return *reinterpret_cast<const rz_tensor *>(base + size_t{index} * graph.tensor_stride);
}
inline const rz_node &node_at(const rz_graph &graph, uint32_t index) {
    const auto *base = reinterpret_cast<const std::byte *>(graph.nodes);
    return *reinterpret_cast<const rz_node *>(base + size_t{index} * graph.node_stride);
}
inline const rz_symbol &symbol_at(const rz_graph &graph, uint32_t index) {
    const auto *base = reinterpret_cast<const std::byte *>(graph.symbols);
    return *reinterpret_cast<const rz_symbol *>(base + size_t{index} * graph.symbol_stride);
}

Shape tensor_shape(const rz_tensor &tensor);

// A dimension with the symbol's value put in.
inline int64_t resolve_dim(int64_t dim, std::span<const int64_t> symbols) {
    return dim < 0 ? symbols[RZ_SYMBOL_INDEX(dim)] : dim;
}

// Writes the strides of a contiguous tensor with these dims and dtype.
void set_contiguous_strides(rz_tensor &tensor);
bool is_contiguous(const rz_tensor &tensor);

// Bytes from the tensor's first to behind its last element when dims[0] is `outermost`;
// UINT64_MAX when that overflows. For a contiguous tensor this is its size.
uint64_t tensor_span(const rz_tensor &tensor, int64_t outermost);

// The number of elements when dims[0] is `outermost`; UINT64_MAX when that overflows.
uint64_t tensor_elements(const rz_tensor &tensor, int64_t outermost);

// The size in bytes at given symbol values, and at the largest ones.
uint64_t tensor_bytes(const rz_tensor &tensor, std::span<const int64_t> symbols);
uint64_t tensor_max_bytes(const rz_graph &graph, const rz_tensor &tensor);

} // namespace realizar
