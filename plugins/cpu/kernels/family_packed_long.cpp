// Packed weights with blocks of 256.
#include "plugins/cpu/kernels/family.h"
// Order matters below: each header uses the ones before it.
#include "plugins/cpu/kernels/packed.h"

#include "plugins/cpu/kernels/packed_long.h"

#include "plugins/cpu/kernels/packed_pass.h"

#include "plugins/cpu/kernels/panel.h"

namespace realizar::cpu::RZ_CPU_ISA {

void add_packed_long(Kernels &table) {
    add_long<Packed_Q4_K>(table, kQ4_K);
    add_long<Packed_Q6_K>(table, kQ6_K);
}

} // namespace realizar::cpu::RZ_CPU_ISA
