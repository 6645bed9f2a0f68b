// Which instruction set the kernels use.
#pragma once

#include "plugins/cpu/kernels/kernels.h"
#include "plugins/cpu/support.h"

#include <span>

namespace realizar::cpu {

// All tables of this build that the processor can run, slowest first; never empty.
std::span<const Kernels *const> available_kernels();

// The table named by the environment variable REALIZAR_CPU_ISA, else the fastest.
// RZ_UNAVAILABLE for a name that is unknown or that the processor cannot run.
rz_code choose_kernels(const Kernels **out, rz_error *err);

} // namespace realizar::cpu
