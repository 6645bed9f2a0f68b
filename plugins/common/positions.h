// The constants of position encodings, in float64: ROPE's frequencies and ATTENTION's ALiBi slopes.
#pragma once

#include "realizar/backend.h"

#include <vector>

namespace realizar::plugin {

// Turns per position of each pair, before division by the factors: two floats each, the value rounded
// and what the rounding left.
std::vector<float> rope_turns(const rz_attr_rope &rope);
float rope_magnitude(const rz_attr_rope &rope);

std::vector<float> alibi_slopes(float max_bias, uint32_t heads);

} // namespace realizar::plugin
