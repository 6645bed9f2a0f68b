// The graph: what a model is, before anyone decides where it runs.
//
// A Graph owns the flat arrays of the ABI (backend.h, section 4) plus the attribute blobs and names
// that those arrays point to. It is built once by GraphBuilder and then immutable.
#pragma once

#include "core/common/result.h"
#include "core/tensor/dtype.h"
#include "realizar/backend.h"

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace realizar {

using TensorId = uint32_t; // index into the graph's tensors
inline constexpr TensorId kNoTensor = RZ_NONE;

// Shape of a tensor: up to four dimensions, outermost first. dims[0] may be a symbol.
struct Shape {
    uint32_t rank = 0;
    std::array<int64_t, RZ_MAX_RANK> dims{};

    Shape() = default;
    Shape(std::initializer_list<int64_t> list);
    int64_t inner() const { return rank == 0 ? 0 : dims[rank - 1]; }
    bool symbolic() const { return rank > 0 && dims[0] < 0; }
    bool operator==(const Shape &) const = default;
    std::string text() const; // "[T, 32, 128]"; symbols as s0, s1, ...
};

class Graph {
  public:
    Graph() = default;
    Graph(Graph &&) = default;
    Graph &operator=(Graph &&) = default;
    Graph(const Graph &) = delete;
    Graph &operator=(const Graph &) = delete;

    // The ABI's view; pointers live as long as this graph is not moved from.
    rz_graph view() const;

    std::span<const rz_tensor> tensors() const { return tensors_; }
    std::span<const rz_node> nodes() const { return nodes_; }
    std::span<const rz_symbol> symbols() const { return symbols_; }
    std::span<const TensorId> outputs() const { return outputs_; }

    Shape shape(TensorId id) const;
    // Index of the INPUT tensor or output with this name; kNoTensor if there is none.
    TensorId find(std::string_view name) const;

    // Identity of the structure (ops, types, shapes, attributes, edges; not names or keys): equal
    // hashes mean the same cost. FNV-1a over the arrays.
    uint64_t hash() const;

    // A new graph of the nodes [begin, end): tensors made before become INPUTs, tensors needed
    // after (or outputs of this graph) become outputs. `original[i]` is this graph's index of the
    // new graph's tensor i. Symbols are kept as they are.
    struct Region;
    Region extract(size_t begin, size_t end) const;

    // A deep copy of an ABI graph that validate_graph accepts, with any element strides: fields
    // that are newer than this build are left out.
    static Graph copy(const rz_graph &graph);

  private:
    friend class GraphBuilder;
    void append_node(uint32_t op, uint32_t version, std::vector<TensorId> inputs,
                     std::vector<TensorId> outputs, std::vector<std::byte> attributes);

    std::vector<rz_tensor> tensors_;
    std::vector<rz_node> nodes_;
    std::vector<rz_symbol> symbols_;
    std::vector<TensorId> outputs_;
    // Backing of the pointers above. Deques keep addresses stable while growing.
    std::deque<std::string> names_;
    std::deque<std::vector<TensorId>> operands_;
    std::deque<std::vector<std::byte>> attributes_;
};

struct Graph::Region {
    Graph graph;
    std::vector<TensorId> original;
};

// Checks an ABI graph that came from anywhere: indices, ranks, strides, views, roles, attribute
// sizes, and each node's contract by shape inference. Used by the core before compile, by the
// conformance kit, and by plugins' tests. Reads nothing outside the arrays as their counts and
// strides describe them.
//
// A required flag, op, version, element type or attribute value that this build does not know is
// Code::unsupported, everything else Code::invalid_argument. With `unknown_nodes` (one entry per
// node on return) such nodes are marked there instead, and the rest of the graph is still checked:
// that is what classify wants.
Status validate_graph(const rz_graph &graph, std::vector<bool> *unknown_nodes = nullptr);

} // namespace realizar
