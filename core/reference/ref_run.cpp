#include "core/reference/execute.h"

#include <exception>

namespace realizar {
namespace {

Result<uint64_t> count_elements(std::span<const int64_t> dims) {
    uint64_t count = 1;
    for (const int64_t dim : dims)
        if (dim < 0 || __builtin_mul_overflow(count, static_cast<uint64_t>(dim), &count) ||
            count > kMaxTensorBytes)
            return make_error(Code::invalid_argument, "bad_shape",
                              "expected dimensions of at most %llu elements in all",
                              static_cast<unsigned long long>(kMaxTensorBytes));
    return count;
}

// The number of bytes that `elements` of this type take; rows are whole blocks.
Result<uint64_t> canonical_bytes(rz_dtype dtype, std::span<const int64_t> dims, bool encode) {
    if (!(encode ? ref_can_encode(dtype) : ref_can_decode(dtype)))
        return make_error(Code::unsupported, "unsupported_dtype",
                          "expected an element type with a codec, found type %u", dtype);
    RZ_ASSIGN(const uint64_t elements, count_elements(dims));
    const DTypeInfo &info = *find_dtype(dtype);
    const int64_t inner = dims.empty() ? 1 : dims.back();
    if (inner % info.block_elements != 0)
        return make_error(Code::invalid_argument, "bad_shape",
                          "expected rows in whole blocks of %u elements for %s, found %lld",
                          info.block_elements, info.name, static_cast<long long>(inner));
    return row_bytes(info, elements);
}

Status check_size(uint64_t expected, size_t found, const char *what) {
    if (expected == found) return {};
    return make_error(Code::invalid_argument, "bad_size", "expected %llu %s, found %zu",
                      static_cast<unsigned long long>(expected), what, found);
}

// The caller's value of a tensor that no node makes has its size.
Status check_leaf(const rz_graph &graph, uint32_t id, std::span<const int64_t> symbols,
                  const RefValue &value) {
    const rz_tensor &tensor = tensor_at(graph, id);
    if (tensor.storage != id || tensor.role == RZ_ROLE_TEMP) return {};
    const uint64_t elements = tensor_elements(tensor, resolve_dim(tensor.dims[0], symbols));
    Status status = check_size(elements, value.data.size(), "elements");
    if (status) return status;
    return std::move(status).error().within(tensor.name != nullptr ? printable(tensor.name)
                                                                   : "tensor");
}

} // namespace

Result<RefValue> ref_from_bytes(rz_dtype dtype, std::span<const int64_t> dims,
                                std::span<const std::byte> bytes) {
    RZ_ASSIGN(const uint64_t size, canonical_bytes(dtype, dims, false));
    RZ_TRY(check_size(size, bytes.size(), "bytes"));
    RZ_ASSIGN(const uint64_t elements, count_elements(dims));
    RefValue value{{dims.begin(), dims.end()}, std::vector<double>(elements)};
    ref_decode(dtype, bytes.data(), value.data);
    return value;
}

Status ref_to_bytes(const RefValue &value, rz_dtype dtype, std::span<std::byte> bytes) {
    RZ_ASSIGN(const uint64_t size, canonical_bytes(dtype, value.dims, true));
    RZ_TRY(check_size(size, bytes.size(), "bytes"));
    RZ_ASSIGN(const uint64_t elements, count_elements(value.dims));
    RZ_TRY(check_size(elements, value.data.size(), "elements"));
    ref_encode(dtype, value.data, bytes.data());
    return {};
}

Status ref_run(const rz_graph &graph, std::span<const int64_t> symbols,
               std::vector<RefValue> &values) {
    RZ_TRY(validate_graph(graph));
    RZ_TRY(ref_check_symbols(graph, symbols));
    RZ_TRY(check_size(graph.tensor_count, values.size(), "values"));
    for (uint32_t i = 0; i < graph.node_count; ++i)
        RZ_TRY(ref_check_node(graph, i));
    for (uint32_t i = 0; i < graph.tensor_count; ++i)
        RZ_TRY(check_leaf(graph, i, symbols, values[i]));
    try {
        ref_resize_temps(graph, symbols, values);
        std::vector<RefStorage> storages(graph.tensor_count);
        for (uint32_t i = 0; i < graph.tensor_count; ++i)
            storages[i].numbers = values[i].data.data();
        ref_execute(graph, symbols, storages);
    } catch (const std::exception &) { // bad_alloc, or length_error beyond any memory
        return make_error(Code::out_of_memory, "out_of_memory",
                          "expected memory for every result of the graph, found too little");
    }
    return {};
}

} // namespace realizar
