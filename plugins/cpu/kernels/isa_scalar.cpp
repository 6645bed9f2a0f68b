#define RZ_CPU_ISA scalar
// Packed weights are for vectors of rows; without these they stay in their canonical layout.
#define RZ_CPU_CANONICAL
#include "plugins/cpu/kernels/simd_scalar.h"
#include "plugins/cpu/kernels/table.h"

namespace realizar::cpu {
const Kernels *scalar_kernels() { return &scalar::kTable; }
} // namespace realizar::cpu
