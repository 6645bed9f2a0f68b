// What the commands that write model files share.
#pragma once

#include "core/format/quantize_model.h"
#include "tools/realizar/options.h"

#include <functional>
#include <string>

namespace realizar::cli {

// Refuses to write over what is read.
Status check_output(const std::string &in, const std::string &out);

// parallel_for of QuantizeOptions on the threads of the backends. `backends` outlives it.
std::function<void(uint64_t, const std::function<void(uint64_t)> &)>
lent_threads(Backends &backends);

} // namespace realizar::cli
