// Weights in their canonical layouts: rows to floats, one or many rows of activations times rows.
#include "plugins/cpu/kernels/family.h"
// Order matters below: each header uses the ones before it.
#include "plugins/cpu/kernels/blocks.h"

#include "plugins/cpu/kernels/blocks_unpacked.h"

#include "plugins/cpu/kernels/convert.h"

#include "plugins/cpu/kernels/dot.h"

#include "plugins/cpu/kernels/gemm.h"

namespace realizar::cpu::RZ_CPU_ISA {

template <class T>
static void add_float(Kernels &table, WeightType type) {
    table.gemm_tokens[type] = 16;
    table.dot[type] = dot_float<T>;
    table.gemm[type] = gemm_float<T>;
    table.decode[type] = decode_float<T>;
}
// ROWS: side by side in a dot.
template <class T, int ROWS>
static void add_quantized(Kernels &table, WeightType type) {
    table.gemm_tokens[type] = 8;
    table.dot[type] = dot_quantized<T, ROWS>;
    table.gemm[type] = gemm_quantized<T>;
    table.decode[type] = decode_blocks<T>;
}

void add_canonical(Kernels &table) {
    table.panel_rows = kPanelRows;
    table.gemm_scratch = gemm_scratch;
    add_float<Float32>(table, kF32);
    add_float<Float16>(table, kF16);
    add_float<BFloat16>(table, kBF16);
    add_quantized<Q8_0, 4>(table, kQ8_0);
    add_quantized<Q4_0, 4>(table, kQ4_0);
    add_quantized<Q4_K, 2>(table, kQ4_K);
    add_quantized<Q6_K, 2>(table, kQ6_K);
    add_quantized<Q4_1, 2>(table, kQ4_1);
    add_quantized<Q5_0, 2>(table, kQ5_0);
    add_quantized<Q5_1, 2>(table, kQ5_1);
    add_quantized<Q3_K, 2>(table, kQ3_K);
    add_quantized<Q5_K, 2>(table, kQ5_K);
    add_quantized<IQ4_NL, 2>(table, kIQ4_NL);
    add_quantized<IQ4_XS, 2>(table, kIQ4_XS);
    add_quantized<MXFP4, 2>(table, kMXFP4);
}

} // namespace realizar::cpu::RZ_CPU_ISA
