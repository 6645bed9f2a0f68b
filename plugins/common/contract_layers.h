// Checks of the operators for mixtures of experts and recurrent layers, for the table of contracts.
#pragma once

#include "plugins/common/contract.h"

namespace realizar::plugin {

inline bool is_f32(const Tensor &t) { return t.dtype == RZ_DTYPE_F32; }
inline bool is_int(const Tensor &t) { return t.dtype == RZ_DTYPE_I32; }

void check_route(const Region &region, const Node &node, Verdict &v);
void check_expert_matmul(const Region &region, const Node &node, Verdict &v);
void check_weighted_sum(const Region &region, const Node &node, Verdict &v);
void check_ssm_conv(const Region &region, const Node &node, Verdict &v);
void check_ssm_scan(const Region &region, const Node &node, Verdict &v);

} // namespace realizar::plugin
