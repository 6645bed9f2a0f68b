// The table of kernels of the instruction set that is being compiled. Included once, last, by
// isa_<name>.cpp, which defines RZ_CPU_ISA (the namespace and the name) and includes simd_<name>.h.
#pragma once

#include "plugins/cpu/kernels/kernels.h"

#include <math.h>
#include <string.h>

namespace realizar::cpu::RZ_CPU_ISA {
static uint64_t call_count;
static uint64_t calls() { return __atomic_load_n(&call_count, __ATOMIC_RELAXED); }
// Calls at the same time may count as one; a locked addition would cost more than small kernels.
static inline void count_call() { __atomic_store_n(&call_count, calls() + 1, __ATOMIC_RELAXED); }
} // namespace realizar::cpu::RZ_CPU_ISA

#include "plugins/cpu/kernels/vector_math.h"
// Order matters below: each header uses the ones before it.
#include "plugins/cpu/kernels/rows.h"

#include "plugins/cpu/kernels/blocks.h"

#include "plugins/cpu/kernels/blocks_unpacked.h"

#include "plugins/cpu/kernels/convert.h"

#include "plugins/cpu/kernels/dot.h"

#include "plugins/cpu/kernels/gemm.h"

#ifndef RZ_CPU_CANONICAL
#include "plugins/cpu/kernels/packed.h"

#include "plugins/cpu/kernels/panel.h"
#endif

#include "plugins/cpu/kernels/attention.h"

namespace realizar::cpu::RZ_CPU_ISA {

#define RZ_CPU_STRING2(x) #x
#define RZ_CPU_STRING(x) RZ_CPU_STRING2(x)

static constexpr Kernels kTable = {
    .isa = RZ_CPU_STRING(RZ_CPU_ISA),
    .calls = calls,
    .panel_rows = kPanelRows,
    .gemm_tokens = {16, 16, 16, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8},
    .dot = {dot_float<Float32>, dot_float<Float16>, dot_float<BFloat16>, dot_quantized<Q8_0, 4>,
            dot_quantized<Q4_0, 4>, dot_quantized<Q4_K, 2>, dot_quantized<Q6_K, 2>,
            dot_quantized<Q4_1, 2>, dot_quantized<Q5_0, 2>, dot_quantized<Q5_1, 2>,
            dot_quantized<Q3_K, 2>, dot_quantized<Q5_K, 2>, dot_quantized<IQ4_NL, 2>,
            dot_quantized<IQ4_XS, 2>, dot_quantized<MXFP4, 2>},
    .gemm = {gemm_float<Float32>, gemm_float<Float16>, gemm_float<BFloat16>, gemm_quantized<Q8_0>,
             gemm_quantized<Q4_0>, gemm_quantized<Q4_K>, gemm_quantized<Q6_K>, gemm_quantized<Q4_1>,
             gemm_quantized<Q5_0>, gemm_quantized<Q5_1>, gemm_quantized<Q3_K>, gemm_quantized<Q5_K>,
             gemm_quantized<IQ4_NL>, gemm_quantized<IQ4_XS>, gemm_quantized<MXFP4>},
    .gemm_scratch = gemm_scratch,
#ifndef RZ_CPU_CANONICAL
    .packed = {nullptr, nullptr, nullptr, packed_short<Packed_Q8_0>, packed_short<Packed_Q4_0>,
               packed_long<Packed_Q4_K>, packed_long<Packed_Q6_K>, nullptr, nullptr, nullptr,
               nullptr, nullptr, nullptr, nullptr, nullptr},
    .packed_scratch = kPackedScratch,
#else
    .packed = {},
    .packed_scratch = 0,
#endif
    .decode = {decode_float<Float32>, decode_float<Float16>, decode_float<BFloat16>,
               decode_blocks<Q8_0>, decode_blocks<Q4_0>, decode_blocks<Q4_K>, decode_blocks<Q6_K>,
               decode_blocks<Q4_1>, decode_blocks<Q5_0>, decode_blocks<Q5_1>, decode_blocks<Q3_K>,
               decode_blocks<Q5_K>, decode_blocks<IQ4_NL>, decode_blocks<IQ4_XS>,
               decode_blocks<MXFP4>},
    .encode_f16 = encode_f16,
    .encode_bf16 = encode_bf16,
    .encode_q8_0 = encode_q8_0,
    .quantize = quantize,
    .quantize_long = quantize_long,
    .add = add,
    .mul = mul,
    .scale = scale,
    .rms_norm = rms_norm,
    .layer_norm = layer_norm,
    .unary = unary,
    .glu = glu,
    .softmax = softmax,
    .argmax = argmax,
    .rope = rope,
    .attention = attention,
};

} // namespace realizar::cpu::RZ_CPU_ISA
