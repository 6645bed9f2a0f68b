#include "plugins/common/region.h"

#include <algorithm>
#include <cstring>

namespace realizar::plugin {

namespace {

// Far above any real graph; keeps sums of products of a hostile one inside 64 bits.
constexpr int64_t kMaxBytes = int64_t{1} << 48;
constexpr uint32_t kMaxCount = 1u << 24;

class Reader {
  public:
    Reader(const rz_graph &graph, Region &out, rz_error *err)
        : graph_(graph), out_(out), err_(err) {}

    rz_code read() {
        rz_code code = check_counts();
        for (uint32_t i = 0; code == RZ_OK && i < graph_.symbol_count; ++i)
            code = read_symbol(i);
        for (uint32_t i = 0; code == RZ_OK && i < graph_.tensor_count; ++i)
            code = read_tensor(i);
        for (uint32_t i = 0; code == RZ_OK && i < graph_.tensor_count; ++i)
            code = check_storage(i);
        written_.resize(graph_.tensor_count);
        for (uint32_t i = 0; code == RZ_OK && i < graph_.node_count; ++i)
            code = read_node(i);
        for (uint32_t i = 0; code == RZ_OK && i < graph_.output_count; ++i)
            code = read_output(i);
        return code;
    }

  private:
    rz_code check_counts() {
        const bool ok = graph_.tensor_count <= kMaxCount && graph_.node_count <= kMaxCount &&
                        graph_.symbol_count <= kMaxCount && graph_.output_count <= kMaxCount;
        if (!ok)
            return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "graph: more than %u elements in an array", kMaxCount);
        const auto lacks = [](const void *array, uint32_t count) { return count && !array; };
        if (lacks(graph_.tensors, graph_.tensor_count) || lacks(graph_.nodes, graph_.node_count) ||
            lacks(graph_.symbols, graph_.symbol_count) ||
            lacks(graph_.outputs, graph_.output_count))
            return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "graph: an array with a count above 0 is NULL");
        const auto short_stride = [](uint32_t count, uint32_t stride, size_t least) {
            return count && (stride < least || stride % 8 != 0);
        };
        if (short_stride(graph_.tensor_count, graph_.tensor_stride, sizeof(rz_tensor)) ||
            short_stride(graph_.node_count, graph_.node_stride, sizeof(rz_node)) ||
            short_stride(graph_.symbol_count, graph_.symbol_stride, sizeof(rz_symbol)))
            return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "graph: an element stride is shorter than its struct");
        return RZ_OK;
    }

    rz_code read_symbol(uint32_t i) {
        const rz_symbol &in = element(graph_.symbols, graph_.symbol_stride, i);
        const rz_code code = check_struct(&in, sizeof(rz_symbol), 0, "rz_symbol", err_);
        if (code != RZ_OK) return code;
        if (in.min < 0 || in.max < in.min || in.max > kMaxBytes)
            return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "symbol %u: expected 0 <= min <= max, found %lld..%lld", i,
                        static_cast<long long>(in.min), static_cast<long long>(in.max));
        out_.symbols.push_back({in.min, in.max, std::clamp(in.hint, in.min, in.max)});
        return RZ_OK;
    }

    rz_code read_tensor(uint32_t i) {
        const rz_tensor &in = element(graph_.tensors, graph_.tensor_stride, i);
        const rz_code code = check_struct(&in, sizeof(rz_tensor), 0, "rz_tensor", err_);
        if (code != RZ_OK) return code;
        Tensor t;
        t.name = in.name ? in.name : "#" + std::to_string(i);
        t.dtype = in.dtype;
        t.role = in.role;
        t.rank = in.rank;
        t.storage = in.storage;
        t.key = in.key;
        if (in.role > RZ_ROLE_STATE)
            return fail(err_, RZ_UNSUPPORTED, RZ_NONE, "tensor %s: role %u is not known",
                        t.name.c_str(), in.role);
        if (in.rank < 1 || in.rank > RZ_MAX_RANK)
            return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "tensor %s: expected rank 1..4, found %u", t.name.c_str(), in.rank);
        if (in.storage >= graph_.tensor_count)
            return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE, "tensor %s: storage %u does not exist",
                        t.name.c_str(), in.storage);
        if (in.offset > static_cast<uint64_t>(kMaxBytes))
            return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE, "tensor %s: offset out of range",
                        t.name.c_str());
        t.offset = static_cast<int64_t>(in.offset);
        return read_shape(in, t);
    }

    rz_code read_shape(const rz_tensor &in, Tensor &t) {
        const char *name = t.name.c_str();
        const DTypeInfo type = dtype_info(t.dtype);
        int64_t total = 1;
        for (uint32_t d = 0; d < t.rank; ++d) {
            int64_t dim = in.dims[d];
            if (d == 0 && dim < 0) {
                if (dim < -static_cast<int64_t>(graph_.symbol_count))
                    return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE,
                                "tensor %s: its symbol does not exist", name);
                t.symbol = RZ_SYMBOL_INDEX(dim);
                dim = out_.symbols[t.symbol].max;
            }
            if (dim < 0 || dim > kMaxBytes || (d + 1 == t.rank && dim == 0))
                return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE,
                            "tensor %s: dimension %u is out of range", name, d);
            if (__builtin_mul_overflow(total, std::max<int64_t>(dim, 1), &total) ||
                total > kMaxBytes)
                return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE, "tensor %s: too large", name);
            t.dims[d] = dim;
            t.strides[d] = in.strides[d];
            if (in.strides[d] < 0 || in.strides[d] > kMaxBytes)
                return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE,
                            "tensor %s: expected strides of 0 or more, found %lld", name,
                            static_cast<long long>(in.strides[d]));
            if (type.elements && in.strides[d] % type.align != 0)
                return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE,
                            "tensor %s: stride %lld is not aligned to its type", name,
                            static_cast<long long>(in.strides[d]));
            if (dim > 1 && in.strides[d] > kMaxBytes / dim)
                return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE, "tensor %s: too large", name);
        }
        if (type.elements) {
            if (t.inner() % type.elements != 0)
                return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE,
                            "tensor %s: expected rows in whole blocks of %u, found %lld", name,
                            type.elements, static_cast<long long>(t.inner()));
            if (t.strides[t.rank - 1] != type.bytes)
                return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE,
                            "tensor %s: expected an innermost stride of %u, found %lld", name,
                            type.bytes, static_cast<long long>(t.strides[t.rank - 1]));
            if (t.offset % type.align != 0)
                return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE,
                            "tensor %s: offset is not aligned to its type", name);
        }
        out_.tensors.push_back(std::move(t));
        return RZ_OK;
    }

    // Views stay inside storages of the same type and role; weights are canonical.
    rz_code check_storage(uint32_t i) {
        const Tensor &t = out_.tensors[i];
        const Tensor &s = out_.tensors[t.storage];
        const char *name = t.name.c_str();
        if (s.storage != t.storage)
            return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE, "tensor %s: a view of a view", name);
        if (t.dtype != s.dtype || t.role != s.role)
            return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "tensor %s: a view must have the type and role of its storage", name);
        if (dtype_info(t.dtype).elements == 0) return RZ_OK; // classify says no to its nodes
        if (!t.is_view(i)) {
            if (t.offset != 0)
                return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE, "tensor %s: a storage has offset 0",
                            name);
            if (t.role == RZ_ROLE_WEIGHT) return check_weight(t);
            return RZ_OK;
        }
        // A symbolic view of a storage with the same symbol fits at every value if it fits at one
        // step and at the largest.
        if (t.symbol != RZ_NONE && s.symbol != RZ_NONE && t.symbol != s.symbol)
            return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "tensor %s: its symbol is not that of its storage", name);
        const auto fits = [&](int64_t steps, int64_t storage_steps) {
            return t.offset + t.extent(steps) <= s.extent(storage_steps);
        };
        bool ok = fits(t.dims[0], s.dims[0]);
        if (s.symbol != RZ_NONE) {
            const int64_t least = out_.symbols[s.symbol].min;
            ok = ok && (least == 0 ? t.symbol != RZ_NONE
                                   : fits(t.symbol == RZ_NONE ? t.dims[0] : least, least));
        }
        if (!ok)
            return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "tensor %s: the view leaves its storage", name);
        return RZ_OK;
    }

    rz_code check_weight(const Tensor &t) {
        if (t.symbol != RZ_NONE)
            return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE, "weight %s: its size is symbolic",
                        t.name.c_str());
        int64_t expected = t.row_bytes();
        for (uint32_t d = t.rank - 1; d-- > 0;) {
            if (t.dims[d] > 1 && t.strides[d] != expected)
                return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE, "weight %s: expected dense rows",
                            t.name.c_str());
            expected *= t.dims[d];
        }
        return RZ_OK;
    }

    rz_code read_node(uint32_t i) {
        const rz_node &in = element(graph_.nodes, graph_.node_stride, i);
        const rz_code code = check_struct(&in, sizeof(rz_node), 0, "rz_node", err_);
        if (code != RZ_OK) return code;
        if ((in.input_count && !in.inputs) || (in.output_count && !in.outputs) ||
            (in.attributes_size && !in.attributes) || in.attributes_size > 4096)
            return fail(err_, RZ_INVALID_ARGUMENT, i, "node %u: an array is NULL or too long", i);
        if (in.input_count > 64 || in.output_count > 64)
            return fail(err_, RZ_INVALID_ARGUMENT, i, "node %u: more than 64 operands", i);
        Node node{in.op,
                  in.version,
                  {in.inputs, in.inputs + in.input_count},
                  {in.outputs, in.outputs + in.output_count},
                  {}};
        if (in.attributes) {
            const auto *bytes = static_cast<const std::byte *>(in.attributes);
            node.attributes.assign(bytes, bytes + in.attributes_size);
        }
        for (const uint32_t index : node.inputs) {
            if (index == RZ_NONE) continue;
            if (index >= out_.tensors.size())
                return fail(err_, RZ_INVALID_ARGUMENT, i, "node %u: input %u does not exist", i,
                            index);
            const Tensor &t = out_.tensors[index];
            if (t.role == RZ_ROLE_TEMP && !written_[t.storage])
                return fail(err_, RZ_INVALID_ARGUMENT, i, "node %u reads %s before a node wrote it",
                            i, t.name.c_str());
        }
        for (const uint32_t index : node.outputs) {
            if (index >= out_.tensors.size())
                return fail(err_, RZ_INVALID_ARGUMENT, i, "node %u: output %u does not exist", i,
                            index);
            const Tensor &t = out_.tensors[index];
            if (t.role != RZ_ROLE_TEMP && t.role != RZ_ROLE_STATE)
                return fail(err_, RZ_INVALID_ARGUMENT, i, "node %u writes %s, which is constant", i,
                            t.name.c_str());
            if (t.role == RZ_ROLE_TEMP && (t.is_view(index) || written_[index]))
                return fail(err_, RZ_INVALID_ARGUMENT, i,
                            "node %u writes %s: expected a result that no other node writes", i,
                            t.name.c_str());
            written_[t.storage] = true;
        }
        out_.nodes.push_back(std::move(node));
        return RZ_OK;
    }

    rz_code read_output(uint32_t i) {
        const uint32_t index = graph_.outputs[i];
        if (index >= out_.tensors.size())
            return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE, "output %u: tensor %u does not exist",
                        i, index);
        const Tensor &t = out_.tensors[index];
        if (t.is_view(index))
            return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE, "output %s is a view", t.name.c_str());
        if (t.role == RZ_ROLE_TEMP && !written_[index])
            return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE, "output %s: no node writes it",
                        t.name.c_str());
        if (t.role == RZ_ROLE_WEIGHT)
            return fail(err_, RZ_INVALID_ARGUMENT, RZ_NONE, "output %s is a weight",
                        t.name.c_str());
        out_.outputs.push_back(index);
        return RZ_OK;
    }

    const rz_graph &graph_;
    Region &out_;
    rz_error *err_;
    std::vector<bool> written_;
};

} // namespace

DTypeInfo dtype_info(rz_dtype dtype) {
    switch (dtype) {
#define RZ_ROW(name, id, elements, bytes)                                                          \
    case id: return {elements, bytes, (elements) > 1 ? ((bytes) % 2 ? 1u : 2u) : (bytes)};
        RZ_DTYPES(RZ_ROW)
#undef RZ_ROW
    default: return {0, 0, 1};
    }
}

int64_t Tensor::rows_per_step() const {
    int64_t rows = 1;
    for (uint32_t d = 1; d + 1 < rank; ++d)
        rows *= dims[d];
    return rows;
}

int64_t Tensor::row_bytes() const {
    const DTypeInfo type = dtype_info(dtype);
    return inner() / type.elements * type.bytes;
}

int64_t Tensor::extent(int64_t dim0) const {
    if (rank == 1) return dim0 / dtype_info(dtype).elements * dtype_info(dtype).bytes;
    if (dim0 == 0) return 0;
    int64_t bytes = row_bytes() + (dim0 - 1) * strides[0];
    for (uint32_t d = 1; d + 1 < rank; ++d) {
        if (dims[d] == 0) return 0;
        bytes += (dims[d] - 1) * strides[d];
    }
    return bytes;
}

rz_code read_region(const rz_graph *graph, Region &out, rz_error *err) {
    const rz_code code = check_struct(graph, sizeof(rz_graph), 0, "rz_graph", err);
    return code == RZ_OK ? Reader(*graph, out, err).read() : code;
}

} // namespace realizar::plugin
