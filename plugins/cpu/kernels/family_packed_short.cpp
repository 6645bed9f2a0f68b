// Packed weights with blocks of 32.
#include "plugins/cpu/kernels/family.h"
// Order matters below: each header uses the ones before it.
#include "plugins/cpu/kernels/packed.h"

#include "plugins/cpu/kernels/packed_short.h"

#include "plugins/cpu/kernels/packed_pass.h"

namespace realizar::cpu::RZ_CPU_ISA {

void add_packed_short(Kernels &table) {
    table.packed[kQ8_0] = packed_short<Packed_Q8_0>;
    table.packed[kQ4_0] = packed_short<Packed_Q4_0>;
}

} // namespace realizar::cpu::RZ_CPU_ISA
