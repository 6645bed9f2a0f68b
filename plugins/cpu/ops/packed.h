// Operators on weights that were packed when they were loaded (packed_layout.h).
#pragma once

#include "plugins/cpu/ops/op.h"

namespace realizar::cpu {

// How a graph uses a weight: only MATMUL and GET_ROWS know packed ones.
struct WeightUse {
    bool multiplied;
    bool other; // by other operators, through views, or in another rank
};
WeightUse use_of_weight(const Region &region, uint32_t weight);

void plan_packed_matmul(Planner &planner, const Node &node);
void plan_packed_rows(Planner &planner, const Node &node);

} // namespace realizar::cpu
