// The checks of rz_submit, the same for every backend: nothing has happened when one fails.
#pragma once

#include "plugins/common/region.h"
#include "plugins/common/support.h"

#include <functional>

namespace realizar::plugin {

// What the checks ask about the instance that a submission names.
struct SubmitTarget {
    const Region &region;
    uint32_t tensor_count;                              // of the graph
    std::function<bool(uint32_t)> is_bound;             // whether a state has its buffer
    std::function<uint64_t(const rz_timeline *)> value; // where a timeline is
    // Whether an input or output is bound to a buffer; empty without RZ_CAP_STEPS.
    std::function<bool(uint32_t)> is_external = nullptr;
};

// The struct itself and that it names an instance: comes first, because the target hangs on it.
rz_code check_submit_struct(const rz_submit &submit, rz_error *err);

// Symbols, bindings, updates, reads, steps, waits and signals.
rz_code check_submit(const rz_submit &submit, const SubmitTarget &target, rz_error *err);

} // namespace realizar::plugin
