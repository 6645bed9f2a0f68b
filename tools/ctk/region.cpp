#include "tools/ctk/region.h"

#include "core/graph/layout.h"
#include "core/quant/codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace realizar::ctk {

std::vector<int64_t> resolved_dims(const rz_tensor &tensor, std::span<const int64_t> symbols) {
    std::vector<int64_t> dims(tensor.dims, tensor.dims + tensor.rank);
    dims[0] = resolve_dim(dims[0], symbols);
    return dims;
}

std::vector<int64_t> largest_dims(const Graph &graph, const rz_tensor &tensor) {
    std::vector<int64_t> symbols;
    for (const rz_symbol &symbol : graph.symbols())
        symbols.push_back(symbol.max);
    return resolved_dims(tensor, symbols);
}

uint64_t bytes_of(rz_dtype dtype, std::span<const int64_t> dims) {
    uint64_t elements = 1;
    for (const int64_t dim : dims)
        elements *= static_cast<uint64_t>(dim);
    return row_bytes(*find_dtype(dtype), elements);
}

uint64_t rows_of(const rz_tensor &tensor) {
    uint64_t rows = 1;
    for (uint32_t d = 0; d + 1 < tensor.rank; ++d)
        rows *= static_cast<uint64_t>(tensor.dims[d]);
    return rows;
}

namespace {

// A block of a type that cannot be encoded: random bytes whose numbers are neither huge nor tiny.
// About every fourth try fits, as the scales are floats of 16 bits.
void random_block(const Codec &codec, const DTypeInfo &info, Random &random, std::byte *block) {
    if (info.block_elements == 1) { // an integer, or F64: small whole numbers do
        const auto value = static_cast<int64_t>(random.integer(0, 7));
        const auto number = static_cast<double>(value);
        const bool f64 = info.dtype == DType::F64;
        std::memcpy(block, f64 ? static_cast<const void *>(&number) : &value, info.block_bytes);
        return;
    }
    constexpr float kSmall = 0x1p-8f, kLarge = 8;
    std::vector<float> values(info.block_elements);
    for (;;) {
        for (uint32_t i = 0; i < info.block_bytes; ++i)
            block[i] = static_cast<std::byte>(random.bits());
        codec.decode(block, values.data(), values.size());
        float most = 0;
        bool finite = true;
        for (const float value : values) {
            most = std::max(most, std::fabs(value));
            finite = finite && std::isfinite(value);
        }
        if (finite && most > kSmall && most < kLarge) return;
    }
}

} // namespace

Bytes random_bytes(rz_dtype dtype, std::span<const int64_t> dims, Spread spread, Random &random) {
    Bytes out(bytes_of(dtype, dims));
    const Codec *codec = find_codec(static_cast<DType>(dtype));
    if (codec == nullptr) return out;
    const DTypeInfo &info = *find_dtype(dtype);
    if (codec->encode == nullptr || is_integer(info.dtype)) {
        for (uint64_t at = 0; at < out.size(); at += info.block_bytes)
            random_block(*codec, info, random, out.data() + at);
        return out;
    }
    const auto inner = static_cast<uint64_t>(dims.back());
    const uint64_t stride = row_bytes(info, inner);
    std::vector<float> row(inner);
    for (uint64_t at = 0; at < out.size(); at += stride) {
        for (float &value : row)
            value = static_cast<float>(spread.mean + spread.deviation * random.normal());
        codec->encode(row.data(), nullptr, out.data() + at, inner);
    }
    return out;
}

namespace {

Spread spread_of(const Region &region, TensorId id) {
    const auto found = region.spread.find(id);
    return found == region.spread.end() ? Spread{} : found->second;
}

} // namespace

Leaves make_constants(const Region &region, Random &random) {
    Leaves leaves(region.graph.tensors().size());
    for (TensorId id = 0; id < leaves.size(); ++id) {
        const rz_tensor &tensor = region.graph.tensors()[id];
        if (!owns(region.graph, id, RZ_ROLE_WEIGHT) && !owns(region.graph, id, RZ_ROLE_STATE))
            continue;
        leaves[id] = random_bytes(tensor.dtype, largest_dims(region.graph, tensor),
                                  spread_of(region, id), random);
    }
    return leaves;
}

void make_inputs(const Region &region, const Step &step, Random &random, Leaves &leaves) {
    for (TensorId id = 0; id < leaves.size(); ++id) {
        if (!owns(region.graph, id, RZ_ROLE_INPUT)) continue;
        const rz_tensor &tensor = region.graph.tensors()[id];
        const std::vector<int64_t> dims = resolved_dims(tensor, step.symbols);
        if (const auto found = step.integers.find(id); found != step.integers.end())
            leaves[id] = to_bytes(found->second);
        else if (const auto values = step.numbers.find(id); values != step.numbers.end())
            leaves[id] = to_bytes(values->second);
        else if (tensor.dtype == RZ_DTYPE_I32)
            leaves[id] = Bytes(bytes_of(tensor.dtype, dims));
        else
            leaves[id] = random_bytes(tensor.dtype, dims, spread_of(region, id), random);
    }
}

} // namespace realizar::ctk
