// Q, K and V of a layer as one group of nodes (plugins/common/qkv.h).
#pragma once

#include "plugins/vulkan/ops/op.h"

namespace realizar::vulkan {

// Nodes that plugin::match_qkv found, with weights in planes.
void plan_qkv(Planner &planner, const std::vector<uint32_t> &nodes);

} // namespace realizar::vulkan
