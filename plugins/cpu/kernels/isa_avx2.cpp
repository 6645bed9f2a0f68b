#define RZ_CPU_ISA avx2
#include "plugins/cpu/kernels/simd_avx2.h"
#include "plugins/cpu/kernels/table.h"

namespace realizar::cpu {
const Kernels *avx2_kernels() { return &avx2::kTable; }
} // namespace realizar::cpu
