// Attention over the KV cache.
#include "plugins/cpu/kernels/family.h"

#include "plugins/cpu/kernels/attention.h"

#include "plugins/cpu/kernels/attention_cache.h"

namespace realizar::cpu::RZ_CPU_ISA {

template <class T>
static void add_cache(Kernels &table, WeightType type) {
    table.score_keys[type] = score_keys<T>;
    table.add_values[type] = add_values<T>;
}

void add_attention(Kernels &table) {
    table.attention = attention;
    table.soften = soften;
    add_cache<FloatRows<Float32>>(table, kF32);
    add_cache<FloatRows<Float16>>(table, kF16);
    add_cache<Q8Rows>(table, kQ8_0);
    add_cache<Q4Rows>(table, kQ4_0);
}

} // namespace realizar::cpu::RZ_CPU_ISA
