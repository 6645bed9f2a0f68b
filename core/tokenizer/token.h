#pragma once

#include <cstdint>

namespace realizar {

// Index into a model's vocabulary.
using Token = int32_t;

} // namespace realizar
