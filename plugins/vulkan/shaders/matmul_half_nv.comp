// MATMUL for many rows of x, both operands in F16 with rows of kStride elements, a multiple of 64 with
// zeros at the end: w from half_weights.comp, x from half_rows.comp; both have rows enough behind their
// last for a whole tile. A workgroup makes TILE_N by TILE_T results with matrices that belong to all of
// its threads: the driver moves the tiles and divides the work. What decides its speed is that the loop
// over k is unrolled, and strides that it knows.
#version 460
#include "common.glsl"
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_NV_cooperative_matrix2 : require

const uint kDepth = 64; // of a slice
layout(local_size_x = THREADS) in;
layout(constant_id = 0) const uint kStride = 64;
layout(constant_id = 1) const uint kBlock = 64; // of k that is unrolled: slices that divide kStride
layout(constant_id = 2) const uint kWide = 0; // rows of y and of the addend begin at 16 bytes
layout(push_constant) uniform Push { MatmulHalfParams p; };
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Halves {
    float16_t v[];
};
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Floats { float v[]; };

#define Sums coopmat<float, gl_ScopeWorkgroup, TILE_T, TILE_N, gl_MatrixUseAccumulator>
#define Left coopmat<float16_t, gl_ScopeWorkgroup, TILE_T, kDepth, gl_MatrixUseA>
#define Right coopmat<float16_t, gl_ScopeWorkgroup, kDepth, TILE_N, gl_MatrixUseB>
#define Layout tensorLayoutNV<2, gl_CooperativeMatrixClampModeConstantNV>

void main() {
    const uint first_t = gl_WorkGroupID.x * TILE_T, first_n = gl_WorkGroupID.y * TILE_N;
    Halves w = Halves(p.w + uint64_t(first_n) * (kStride * 2));
    Halves x = Halves(p.x + uint64_t(first_t) * (kStride * 2));
    tensorLayoutNV<2> w_rows = createTensorLayoutNV(2);
    w_rows = setTensorLayoutDimensionNV(w_rows, TILE_N, kStride);
    w_rows = setTensorLayoutStrideNV(w_rows, kStride, 1);
    tensorLayoutNV<2> x_rows = createTensorLayoutNV(2);
    x_rows = setTensorLayoutDimensionNV(x_rows, TILE_T, kStride);
    x_rows = setTensorLayoutStrideNV(x_rows, kStride, 1);
    tensorViewNV<2, false, 1, 0> transposed = createTensorViewNV(2, false, 1, 0);

    Sums sums = Sums(0.0);
    for (uint block = 0; block < kStride; block += kBlock)
        [[unroll]] for (uint in_block = 0; in_block < kBlock; in_block += kDepth) {
            const uint k = block + in_block;
            Left a;
            Right b;
            coopMatLoadTensorNV(a, x.v, 0, sliceTensorLayoutNV(x_rows, 0, TILE_T, k, kDepth));
            coopMatLoadTensorNV(b, w.v, 0, sliceTensorLayoutNV(w_rows, 0, TILE_N, k, kDepth),
                                transposed);
            sums = coopMatMulAdd(a, b, sums);
        }

    // The factor of each row of x, the addend, and out; what lies beyond rows and n stays away.
    tensorLayoutNV<2> column = createTensorLayoutNV(2);
    column = setTensorLayoutDimensionNV(column, TILE_T, TILE_N);
    column = setTensorLayoutStrideNV(column, 1, 0);
    Sums other;
    coopMatLoadTensorNV(other, F32(p.scales + uint64_t(first_t) * 4).v, 0, column);
    sums = sums * other;
    Layout results = createTensorLayoutNV(2, gl_CooperativeMatrixClampModeConstantNV);
    results = setTensorLayoutDimensionNV(results, p.rows - first_t, p.n - first_n);
    if (p.add != 0) {
        const uint64_t add = p.add + (uint64_t(first_t) * p.add_stride + first_n) * 4;
        Layout addend = setTensorLayoutStrideNV(results, p.add_stride, 1);
        addend = sliceTensorLayoutNV(addend, 0, TILE_T, 0, TILE_N);
        if (kWide != 0)
            coopMatLoadTensorNV(other, Floats(add).v, 0, addend);
        else
            coopMatLoadTensorNV(other, F32(add).v, 0, addend);
        sums = sums + other;
    }
    const uint64_t y = p.y + (uint64_t(first_t) * p.n + first_n) * 4;
    results = setTensorLayoutStrideNV(results, p.n, 1);
    results = sliceTensorLayoutNV(results, 0, TILE_T, 0, TILE_N);
    if (kWide != 0)
        coopMatStoreTensorNV(sums, Floats(y).v, 0, results);
    else
        coopMatStoreTensorNV(sums, F32(y).v, 0, results);
}
