// A checked copy of a graph: everything that compile, weights and submit need, in our own types.
#pragma once

#include "plugins/common/support.h"

#include <string>
#include <vector>

namespace realizar::plugin {

struct DTypeInfo {
    uint32_t elements; // per block; 0: a type that this build does not know
    uint32_t bytes;    // per block
    uint32_t align;    // of the scalar
};
DTypeInfo dtype_info(rz_dtype dtype);

struct Tensor {
    rz_dtype dtype = RZ_DTYPE_F32;
    rz_role role = RZ_ROLE_TEMP;
    uint32_t rank = 1;
    uint32_t storage = 0;
    uint32_t symbol = RZ_NONE;      // of dims[0]
    int64_t dims[4] = {1, 1, 1, 1}; // dims[0] is the largest value if it is symbolic
    int64_t strides[4] = {};
    int64_t offset = 0;
    uint64_t key = 0;
    std::string name; // "#index" when the graph gives none

    bool is_view(uint32_t index) const { return storage != index; }
    int64_t inner() const { return dims[rank - 1]; }
    int64_t dim0(const int64_t *symbols) const {
        return symbol == RZ_NONE ? dims[0] : symbols[symbol];
    }
    // Rows of the innermost dimension in one step of dims[0] (1 for rank 1: the element itself).
    int64_t rows_per_step() const;
    int64_t row_bytes() const; // of the innermost dimension
    // Bytes from the first to behind the last, at `dim0` steps of dims[0].
    int64_t extent(int64_t dim0) const;
};

struct Symbol {
    int64_t min, max, hint;
};

struct Node {
    uint32_t op = 0;
    uint32_t version = 0;
    std::vector<uint32_t> inputs;
    std::vector<uint32_t> outputs;
    std::vector<std::byte> attributes;
};

struct Region {
    std::vector<Tensor> tensors;
    std::vector<Node> nodes;
    std::vector<Symbol> symbols;
    std::vector<uint32_t> outputs;

    const Tensor &input(const Node &node, size_t i) const { return tensors[node.inputs[i]]; }
    const Tensor &output(const Node &node, size_t i) const { return tensors[node.outputs[i]]; }
    bool has_input(const Node &node, size_t i) const {
        return i < node.inputs.size() && node.inputs[i] != RZ_NONE;
    }
};

// Checks that the graph is well formed: indices, sizes, alignment, order of nodes. Whether this
// backend can compute a node is another question (contract.h).
rz_code read_region(const rz_graph *graph, Region &out, rz_error *err);

} // namespace realizar::plugin
