// Q, K and V of a layer as one group of nodes: see plan/fusion_qkv.cpp for the pattern.
#pragma once

#include "plugins/vulkan/ops/op.h"

#include <optional>

namespace realizar::vulkan {

// MATMUL [+ ADD of a bias] [+ ROPE] [+ KV_WRITE], each the only reader of the one before.
struct Chain {
    const Node *matmul = nullptr, *add = nullptr, *rope = nullptr, *write = nullptr;
    uint32_t addend = RZ_NONE; // tensor, of `add`

    const Node &last() const { return write ? *write : rope ? *rope : add ? *add : *matmul; }
};

// Chains of Q, K and V, whose weights are in planes. Q and K turn by the same angles or not at all; K
// and V are written to cells of F16 caches.
void plan_qkv(Planner &planner, const Chain (&chains)[3]);

} // namespace realizar::vulkan
