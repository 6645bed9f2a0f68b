#include "plugins/cpu/kernels/family_long.h"

namespace realizar::cpu::RZ_CPU_ISA {

void add_packed_q6_k(Kernels &table) { add_long<Packed_Q6_K, kQ6_K>(table); }

} // namespace realizar::cpu::RZ_CPU_ISA
