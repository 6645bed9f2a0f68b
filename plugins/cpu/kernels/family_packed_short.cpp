// Packed weights with blocks of 32.
#include "plugins/cpu/kernels/family.h"
// Order matters below: each header uses the ones before it.
#include "plugins/cpu/kernels/packed.h"

#include "plugins/cpu/kernels/packed_short.h"

#include "plugins/cpu/kernels/packed_pass.h"

namespace realizar::cpu::RZ_CPU_ISA {

void add_packed_short(Kernels &table) {
    table.packed[kQ8_0] = packed_plain<Packed_Q8_0, kQ8_0>;
    table.packed[kQ4_0] = packed_plain<Packed_Q4_0, kQ4_0>;
    table.packed[kQ4_1] = packed_plain<Packed_Q4_1, kQ4_1>;
    table.packed[kQ5_0] = packed_plain<Packed_Q5_0, kQ5_0>;
    table.packed[kQ5_1] = packed_plain<Packed_Q5_1, kQ5_1>;
    table.packed[kIQ4_NL] = packed_plain<Packed_IQ4_NL, kIQ4_NL>;
    table.packed[kMXFP4] = packed_plain<Packed_MXFP4, kMXFP4>;
}

} // namespace realizar::cpu::RZ_CPU_ISA
