// Packed weights in 16-bit floats.
#include "plugins/cpu/kernels/family.h"
// Order matters below: each header uses the ones before it.
#include "plugins/cpu/kernels/packed.h"

#include "plugins/cpu/kernels/packed_float.h"

#include "plugins/cpu/kernels/packed_pass.h"

namespace realizar::cpu::RZ_CPU_ISA {

void add_packed_float(Kernels &table) {
    table.packed[kF16] = packed_plain<Packed_F16, kF16>;
    table.packed[kBF16] = packed_plain<Packed_BF16, kBF16>;
}

} // namespace realizar::cpu::RZ_CPU_ISA
