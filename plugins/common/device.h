// What every device of this project answers in the same way: rz_device_api over the contracts.
#pragma once

#include "plugins/common/contract.h"

namespace realizar::plugin {

// rz_device_api.capabilities: one row per operator that the backend has. `count` is not null.
rz_code list_capabilities(const Coverage &coverage, rz_capability *rows, uint32_t stride,
                          uint32_t *count, rz_error *err);

// rz_device_api.classify: the contract and the backend's coverage decide each node.
rz_code classify_nodes(const Coverage &coverage, const rz_graph *graph, uint8_t *states,
                       rz_error *err);

// rz_device_api.counters.
rz_code report_counters(const Counters &counters, rz_counters *out, rz_error *err);

} // namespace realizar::plugin
