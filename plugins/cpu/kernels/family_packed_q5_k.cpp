#include "plugins/cpu/kernels/family_long.h"

namespace realizar::cpu::RZ_CPU_ISA {

void add_packed_q5_k(Kernels &table) { add_long<Packed_Q5_K, kQ5_K>(table); }

} // namespace realizar::cpu::RZ_CPU_ISA
