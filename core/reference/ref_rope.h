// The angles of ROPE (backend.h, section 5).
#pragma once

#include "realizar/backend.h"

#include <span>
#include <vector>

namespace realizar {

// By pair, the angle per unit of position in radians. `factors` is empty or has rotated / 2 numbers.
std::vector<double> ref_rope_rates(const rz_attr_rope &attr, std::span<const double> factors);

} // namespace realizar
