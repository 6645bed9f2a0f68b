// Begins each family_*.cpp. A family is compiled once for each instruction set (CMakeLists.txt), which
// RZ_CPU_ISA names (the namespace too) and whose vectors RZ_CPU_SIMD, a header, defines. Each family puts
// its kernels into the table.
#pragma once

#include "plugins/cpu/kernels/kernels.h"

#include <math.h>
#include <string.h>

#include RZ_CPU_SIMD

namespace realizar::cpu::RZ_CPU_ISA {

extern uint64_t call_count;
static inline uint64_t calls() { return __atomic_load_n(&call_count, __ATOMIC_RELAXED); }
// Calls at the same time may count as one; a locked addition would cost more than small kernels.
static inline void count_call() { __atomic_store_n(&call_count, calls() + 1, __ATOMIC_RELAXED); }

// Kernels::few_tokens.
extern const uint64_t few_tokens[kWeightTypes];

void add_rows(Kernels &table);
void add_attention(Kernels &table);
void add_canonical(Kernels &table);
void add_packed_float(Kernels &table);
void add_packed_short(Kernels &table);
void add_packed_q3_k(Kernels &table);
void add_packed_q4_k(Kernels &table);
void add_packed_q5_k(Kernels &table);
void add_packed_q6_k(Kernels &table);
void add_packed_iq4_xs(Kernels &table);

} // namespace realizar::cpu::RZ_CPU_ISA

#include "plugins/cpu/kernels/vector_math.h"
