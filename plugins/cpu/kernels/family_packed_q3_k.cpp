#include "plugins/cpu/kernels/family_long.h"

namespace realizar::cpu::RZ_CPU_ISA {

void add_packed_q3_k(Kernels &table) { add_long<Packed_Q3_K, kQ3_K>(table); }

} // namespace realizar::cpu::RZ_CPU_ISA
