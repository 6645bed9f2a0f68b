// Q, K and V of a layer as one group of nodes: three MATMULs of one x whose results, with their biases,
// rotated, become the queries of an ATTENTION and rows of its caches.
#pragma once

#include "plugins/common/uses.h"

namespace realizar::plugin {

// MATMUL [+ ADD of a bias] [+ ROPE] [+ KV_WRITE], each the only reader of the one before.
struct Chain {
    const Node *matmul = nullptr, *add = nullptr, *rope = nullptr, *write = nullptr;
    uint32_t addend = RZ_NONE; // tensor, of `add`

    const Node &last() const { return write ? *write : rope ? *rope : add ? *add : *matmul; }
};

// The nodes of such a group whose first one is `index`, rising; empty: none. Q and K turn by the same
// angles or not at all, K and V go to the same cells of F16 caches, heads are of even width, and the
// group can run at the place of its last node. `fits_weight` says which weights the caller takes.
std::vector<uint32_t> match_qkv(const Uses &uses, uint32_t index,
                                bool (*fits_weight)(const Tensor &weight));

// Q, K and V, in this order, of a group that match_qkv found.
struct QkvChains {
    Chain chain[3];
};
QkvChains qkv_chains(const Region &region, const std::vector<uint32_t> &nodes);

} // namespace realizar::plugin
