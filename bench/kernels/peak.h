// What a core multiplies at most: products that stay in registers.
#pragma once

#include <string_view>

namespace realizar::bench {

// GMAC/s of one thread with instruction set `isa` (plugins/cpu/isa.h): products of 8 bits summed in 32, or
// of F32. 0: there is no vector instruction to measure.
double integer_peak(std::string_view isa);
double float_peak(std::string_view isa);

} // namespace realizar::bench
