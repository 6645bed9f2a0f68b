#include "plugins/cpu/kernels/family_long.h"

namespace realizar::cpu::RZ_CPU_ISA {

void add_packed_q5_k(Kernels &table) { add_long<Packed_Q5_K>(table, kQ5_K); }

} // namespace realizar::cpu::RZ_CPU_ISA
