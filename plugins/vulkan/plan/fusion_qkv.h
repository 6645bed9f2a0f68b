// The pattern of Q, K and V (ops/qkv.h) for the table in fusion.cpp.
#pragma once

#include "plugins/vulkan/plan/fusion.h"

namespace realizar::vulkan {

std::vector<uint32_t> match_qkv(const Uses &uses, uint32_t index);
void plan_qkv_group(Planner &planner, const FusedGroup &group);

} // namespace realizar::vulkan
