#include "plugins/cpu/kernels/family.h"

#define RZ_CPU_STRING2(x) #x
#define RZ_CPU_STRING(x) RZ_CPU_STRING2(x)
#define RZ_CPU_JOIN2(a, b) a##b
#define RZ_CPU_JOIN(a, b) RZ_CPU_JOIN2(a, b)

namespace realizar::cpu {

namespace RZ_CPU_ISA {

uint64_t call_count;

static uint64_t all_calls() { return calls(); }

static Kernels make_table() {
    Kernels table = {};
    table.isa = RZ_CPU_STRING(RZ_CPU_ISA);
    table.calls = all_calls;
    add_rows(table);
    add_attention(table);
    add_canonical(table);
#ifndef RZ_CPU_CANONICAL
    add_packed_float(table);
    add_packed_short(table);
    add_packed_q3_k(table);
    add_packed_q4_k(table);
    add_packed_q5_k(table);
    add_packed_q6_k(table);
    add_packed_iq4_xs(table);
#endif
    return table;
}

} // namespace RZ_CPU_ISA

const Kernels *RZ_CPU_JOIN(RZ_CPU_ISA, _kernels)() {
    static const Kernels table = RZ_CPU_ISA::make_table();
    return &table;
}

} // namespace realizar::cpu
