// Patterns of neighbouring nodes that a backend may run as one step. Each match_* gives the nodes of the
// pattern whose first one is `index`, rising, which can run together at the place of the last one; empty:
// there is none. See qkv.h for the largest.
#pragma once

#include "plugins/common/uses.h"

namespace realizar::plugin {

// The operand of `node` (ADD, MUL or GLU) that is not `tensor`.
uint32_t other_operand(const Node &node, uint32_t tensor);

// RMS_NORM without a weight, then MUL with a vector.
std::vector<uint32_t> match_norm_mul(const Uses &uses, uint32_t index);
// MATMUL, then ADD of a bias or of a residual whose rows have one stride.
std::vector<uint32_t> match_matmul_add(const Uses &uses, uint32_t index);
// Two MATMULs of the same x with weights of one type and shape, and the GLU of their results.
// `fits_weight` says which weights the caller takes.
std::vector<uint32_t> match_gated(const Uses &uses, uint32_t index,
                                  bool (*fits_weight)(const Tensor &weight));
// ROPE, then KV_WRITE of its result.
std::vector<uint32_t> match_rope_write(const Uses &uses, uint32_t index);

} // namespace realizar::plugin
