// The narrow cache type of KV_WRITE and ATTENTION (backend.h, section 5): rotated rows in Q4_0.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace realizar {

// Multiplies each run of B elements, B = 64 if that divides the size and else 32, by the Walsh-Hadamard
// matrix of order B over sqrt(B). Doing it twice changes nothing. The size is a multiple of 32.
void ref_rotate(std::span<double> row);

// A rotated row as Q4_0: the scale of a block is its element of largest magnitude / -8. The size is a
// multiple of 32.
std::vector<std::byte> ref_encode_rotated(std::span<const double> rotated);

} // namespace realizar
