#include "plugins/cpu/kernels/family.h"

#include "plugins/cpu/kernels/attention.h"

namespace realizar::cpu::RZ_CPU_ISA {

void add_attention(Kernels &table) { table.attention = attention; }

} // namespace realizar::cpu::RZ_CPU_ISA
