#define RZ_CPU_ISA avx512
#include "plugins/cpu/kernels/simd_avx512.h"
#include "plugins/cpu/kernels/table.h"

namespace realizar::cpu {
const Kernels *avx512_kernels() { return &avx512::kTable; }
} // namespace realizar::cpu
