// Operators on weights that were packed when they were loaded (packed_layout.h).
#pragma once

#include "plugins/cpu/ops/op.h"

namespace realizar::cpu {

// How a graph uses a weight: only MATMUL and GET_ROWS know packed matrices, EXPERT_MATMUL stacks of them.
struct WeightUse {
    bool multiplied;
    bool other; // by other operators, through views, or in another rank
};
WeightUse use_of_weight(const Region &region, uint32_t weight);

// Activations as the kernels of a layout take them: rows one behind the other.
struct PackedX {
    uint32_t tensor;
    int64_t stride; // bytes from row to row
};
// Of the rows of `x`; adds the step that makes them if there is none.
PackedX plan_packed_x(Planner &planner, const PackedLayout &layout, uint32_t x);

// `order`: as SortStep in experts.cpp leaves it.
void plan_packed_experts(Planner &planner, const Node &node, uint32_t order);

void plan_packed_matmul(Planner &planner, const Node &node);
void plan_packed_rows(Planner &planner, const Node &node);

} // namespace realizar::cpu
