#include "core/graph/layout.h"

#include <algorithm>

namespace realizar {
namespace {

uint64_t saturating_multiply(uint64_t a, uint64_t b) {
    uint64_t out;
    return __builtin_mul_overflow(a, b, &out) ? UINT64_MAX : out;
}

uint64_t saturating_add(uint64_t a, uint64_t b) {
    uint64_t out;
    return __builtin_add_overflow(a, b, &out) ? UINT64_MAX : out;
}

} // namespace

Shape tensor_shape(const rz_tensor &tensor) {
    Shape shape;
    shape.rank = tensor.rank;
    for (uint32_t i = 0; i < tensor.rank && i < RZ_MAX_RANK; ++i)
        shape.dims[i] = tensor.dims[i];
    return shape;
}

void set_contiguous_strides(rz_tensor &tensor) {
    const DTypeInfo &info = *find_dtype(tensor.dtype);
    uint64_t stride = info.block_bytes;
    for (uint32_t i = tensor.rank; i-- > 0;) {
        tensor.strides[i] = static_cast<int64_t>(std::min<uint64_t>(stride, INT64_MAX));
        if (i == 0) break; // may be a symbol, and no stride depends on it
        const int64_t steps =
            i + 1 == tensor.rank ? tensor.dims[i] / info.block_elements : tensor.dims[i];
        stride = saturating_multiply(stride, static_cast<uint64_t>(steps));
    }
}

bool is_contiguous(const rz_tensor &tensor) {
    rz_tensor packed = tensor;
    set_contiguous_strides(packed);
    for (uint32_t i = 0; i < tensor.rank; ++i)
        if (packed.strides[i] != tensor.strides[i]) return false;
    return true;
}

uint64_t tensor_span(const rz_tensor &tensor, int64_t outermost) {
    const DTypeInfo &info = *find_dtype(tensor.dtype);
    uint64_t last = 0; // offset of the last block's first byte
    for (uint32_t i = 0; i < tensor.rank; ++i) {
        int64_t steps = i == 0 ? outermost : tensor.dims[i];
        if (i + 1 == tensor.rank) steps /= info.block_elements;
        if (steps <= 0) return 0;
        last = saturating_add(last, saturating_multiply(static_cast<uint64_t>(steps - 1),
                                                        static_cast<uint64_t>(tensor.strides[i])));
    }
    return saturating_add(last, info.block_bytes);
}

uint64_t tensor_elements(const rz_tensor &tensor, int64_t outermost) {
    uint64_t count = static_cast<uint64_t>(outermost);
    for (uint32_t i = 1; i < tensor.rank; ++i)
        count = saturating_multiply(count, static_cast<uint64_t>(tensor.dims[i]));
    return count;
}

uint64_t tensor_bytes(const rz_tensor &tensor, std::span<const int64_t> symbols) {
    return tensor_span(tensor, resolve_dim(tensor.dims[0], symbols));
}

uint64_t tensor_max_bytes(const rz_graph &graph, const rz_tensor &tensor) {
    const int64_t dim = tensor.dims[0];
    return tensor_span(tensor, dim < 0 ? symbol_at(graph, RZ_SYMBOL_INDEX(dim)).max : dim);
}

} // namespace realizar
