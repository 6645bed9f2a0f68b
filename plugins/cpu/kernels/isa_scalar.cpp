#define RZ_CPU_ISA scalar
#include "plugins/cpu/kernels/simd_scalar.h"
#include "plugins/cpu/kernels/table.h"

namespace realizar::cpu {
const Kernels *scalar_kernels() { return &scalar::kTable; }
} // namespace realizar::cpu
