#include "plugins/cpu/kernels/family_long.h"

namespace realizar::cpu::RZ_CPU_ISA {

void add_packed_iq4_xs(Kernels &table) { add_long<Packed_IQ4_XS, kIQ4_XS>(table); }

} // namespace realizar::cpu::RZ_CPU_ISA
