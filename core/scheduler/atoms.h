// Cutting the graph of a step into atoms: the smallest parts that the planner moves around.
//
// Cuts lie where least passes from one node to the next (in a transformer before and behind attention
// and the feed-forward network, where only the residual stream does), and where the devices differ in
// what they can run.
#pragma once

#include "core/scheduler/placement.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace realizar {

struct Atom {
    size_t begin = 0, end = 0; // nodes
    std::vector<uint64_t>
        signature;             // by variant, of Graph::hash: atoms with equal ones cost the same
    size_t group = SIZE_MAX;   // atoms that touch one STATE, as the planner wants it
    std::vector<uint8_t> runs; // by device
    bool state = false;        // touches one
    std::string name;          // of its first weight, e.g. "blk.3.attn_norm.weight"
};

std::vector<Atom> cut_into_atoms(std::span<const Graph> variants, const Support &support);

// Bytes of the values that nodes before `cut` make and nodes from it on use, by cut from 0 to the
// number of nodes, under these symbol values.
std::vector<uint64_t> crossing_bytes(const Graph &graph, std::span<const int64_t> symbols);

} // namespace realizar
