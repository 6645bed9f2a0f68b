// Random graphs with the operators of a decoder, and random values for their leaves.
#pragma once

#include "core/graph/graph.h"
#include "core/reference/reference.h"

#include <cstdint>
#include <vector>

namespace realizar::test {

struct RandomGraph {
    Graph graph;
    std::vector<int64_t> symbols; // values within the bounds
    std::vector<RefValue> leaves; // by tensor; empty for results and views
};

// The same seed gives the same graph. About `nodes` nodes, at least one output and one state.
RandomGraph make_random_graph(uint32_t seed, int nodes);

} // namespace realizar::test
