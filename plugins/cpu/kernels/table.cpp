#include "plugins/cpu/kernels/family.h"

#define RZ_CPU_STRING2(x) #x
#define RZ_CPU_STRING(x) RZ_CPU_STRING2(x)
#define RZ_CPU_JOIN2(a, b) a##b
#define RZ_CPU_JOIN(a, b) RZ_CPU_JOIN2(a, b)

namespace realizar::cpu {

namespace RZ_CPU_ISA {

uint64_t call_count;

#ifndef RZ_CPU_CANONICAL
// Where several groups of rows begin to be faster than one group at a time (bench_cpu_kernels with `batches`). For
// blocks of 256 that is where unpacking pays: early where tiles have few tokens, and so unpack often.
constexpr uint64_t kFewLong = kLanes == 16 ? 32 : kNarrowPartials ? 9 : 12;
constexpr uint64_t kFewSigned = kLanes == 16 ? 29 : kFewLong;
const uint64_t few_tokens[kWeightTypes] = {
    0,          24,         24,                 // F32, which has no packed layout; F16, BF16
    16,         16,         kFewLong, kFewLong, // Q8_0, Q4_0, Q4_K, Q6_K
    16,         16,         16,                 // Q4_1, Q5_0, Q5_1
    kFewSigned, kFewLong,                       // Q3_K, Q5_K
    16,         kFewSigned, 16,                 // IQ4_NL, IQ4_XS, MXFP4
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
