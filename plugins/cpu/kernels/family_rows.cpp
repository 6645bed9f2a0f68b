// Rows of floats: arithmetic, norms, activations, and into other element types.
#include "plugins/cpu/kernels/family.h"

#include "plugins/cpu/kernels/rows.h"

#include "plugins/cpu/kernels/encode.h"

namespace realizar::cpu::RZ_CPU_ISA {

void add_rows(Kernels &table) {
    table.encode_f16 = encode_f16;
    table.encode_bf16 = encode_bf16;
    table.encode_q8_0 = encode_q8_0;
    table.quantize = quantize;
    table.quantize_long = quantize_long;
    table.add = add;
    table.mul = mul;
    table.scale = scale;
    table.rms_norm = rms_norm;
    table.layer_norm = layer_norm;
    table.unary = unary;
    table.glu = glu;
    table.softmax = softmax;
    table.argmax = argmax;
    table.rope = rope;
}

} // namespace realizar::cpu::RZ_CPU_ISA
