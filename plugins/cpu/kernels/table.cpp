#include "plugins/cpu/kernels/family.h"

#define RZ_CPU_STRING2(x) #x
#define RZ_CPU_STRING(x) RZ_CPU_STRING2(x)
#define RZ_CPU_JOIN2(a, b) a##b
#define RZ_CPU_JOIN(a, b) RZ_CPU_JOIN2(a, b)

namespace realizar::cpu {

namespace RZ_CPU_ISA {

uint64_t call_count;

#ifndef RZ_CPU_CANONICAL
// The last number of tokens for which one group of rows at a time is at least as fast as several, by
// bench_cpu_kernels with `batches` (Zen 5). For blocks of 256 that is where unpacking begins to pay: early where
// tiles have few tokens, and so unpack often.
constexpr uint64_t few(uint64_t avx2, uint64_t avxvnni, uint64_t avx512) {
    return kLanes == 16 ? avx512 : kNarrowPartials ? avx2 : avxvnni;
}
const uint64_t few_tokens[kWeightTypes] = {
    0,               // F32 has no packed layout
    few(48, 48, 40), // F16
    few(48, 48, 40), // BF16
    few(24, 16, 64), // Q8_0
    few(16, 6, 48),  // Q4_0
    few(12, 64, 40), // Q4_K
    few(9, 24, 40),  // Q6_K
    few(12, 9, 64),  // Q4_1
    few(16, 12, 48), // Q5_0
    few(9, 12, 40),  // Q5_1
    few(6, 6, 36),   // Q3_K
    few(9, 9, 36),   // Q5_K
    few(16, 6, 48),  // IQ4_NL
    few(9, 20, 40),  // IQ4_XS
    few(16, 16, 64), // MXFP4
};
#endif

static uint64_t all_calls() { return calls(); }

static Kernels make_table() {
    Kernels table = {};
    table.isa = RZ_CPU_STRING(RZ_CPU_ISA);
    table.calls = all_calls;
    add_rows(table);
    add_attention(table);
    add_canonical(table);
#ifndef RZ_CPU_CANONICAL
    for (unsigned t = 0; t < kWeightTypes; ++t)
        table.few_tokens[t] = few_tokens[t];
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
