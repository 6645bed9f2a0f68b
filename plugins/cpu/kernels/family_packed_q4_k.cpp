#include "plugins/cpu/kernels/family_long.h"

namespace realizar::cpu::RZ_CPU_ISA {

void add_packed_q4_k(Kernels &table) { add_long<Packed_Q4_K, kQ4_K>(table); }

} // namespace realizar::cpu::RZ_CPU_ISA
