// Running the nodes of a graph over storages: shared by ref_run and the backend "reference".
#pragma once

#include "core/reference/ref_tensor.h"

namespace realizar {

// A type of the graph's tensors that ref_execute cannot read, or write where a node writes it.
// The graph is valid. Node by node: classify asks for one, compile for all.
Status ref_check_node(const rz_graph &graph, uint32_t node);

// Runs the nodes in order. `storages` has one entry per tensor of the graph, filled for those that
// own their bytes: TEMP as numbers, the others as either. The graph is valid, the symbols are
// within their bounds, and every node has passed ref_check_node.
void ref_execute(const rz_graph &graph, std::span<const int64_t> symbols,
                 std::span<const RefStorage> storages);

// Gives every TEMP that owns its bytes its size at these symbols; values are kept where sizes
// allow.
void ref_resize_temps(const rz_graph &graph, std::span<const int64_t> symbols,
                      std::vector<RefValue> &values);

// As many values as the graph has symbols, each within its bounds.
Status ref_check_symbols(const rz_graph &graph, std::span<const int64_t> symbols);

} // namespace realizar
