// MATMUL for many rows of x with cooperative matrices, both operands in F16 with rows of kStride
// elements, a multiple of 64 with zeros at the end: w from half_weights.comp, x from half_rows.comp. Both have
// rows enough behind their last for a whole tile. A workgroup makes TILE_N by TILE_T results, a subgroup
// of 32 WARP_N by WARP_T of them. With STAGES 2 a slice of k is stored while the one before it is
// multiplied.
#version 460
#include "common.glsl"
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require

const uint kThreads = TILE_N / WARP_N * (TILE_T / WARP_T) * 32;
const uint kRow = DEPTH / 8;       // of a slice, in 16 bytes
const uint kTileRow = kRow + 1;    // of the tiles: one more keeps rows in other banks
const uint kRows = kThreads / kRow; // that the workgroup moves at once
const uint kPiecesW = TILE_N / kRows, kPiecesX = TILE_T / kRows;
const uint kFragmentsN = WARP_N / 16, kFragmentsT = WARP_T / 16;
layout(local_size_x = kThreads) in;
layout(constant_id = 0) const uint kStride = 64;
layout(push_constant) uniform Push { MatmulHalfParams p; };

shared uvec4 tile_w[STAGES * TILE_N * kTileRow];
shared uvec4 tile_x[STAGES * TILE_T * kTileRow];
shared float stage[kThreads / 32 * 256]; // 16 by 16 for each subgroup

struct Slice {
    uvec4 w[kPiecesW], x[kPiecesX];
};

void fetch(out Slice slice, uint64_t w, uint64_t x) {
    [[unroll]] for (uint j = 0; j < kPiecesW; ++j)
        slice.w[j] = U32x4(w + j * kRows * kStride * 2).v[0];
    [[unroll]] for (uint j = 0; j < kPiecesX; ++j)
        slice.x[j] = U32x4(x + j * kRows * kStride * 2).v[0];
}

void store(Slice slice, uint which) {
    const uint row = gl_LocalInvocationID.x / kRow, at = gl_LocalInvocationID.x % kRow;
    [[unroll]] for (uint j = 0; j < kPiecesW; ++j)
        tile_w[(which * TILE_N + row + j * kRows) * kTileRow + at] = slice.w[j];
    [[unroll]] for (uint j = 0; j < kPiecesX; ++j)
        tile_x[(which * TILE_T + row + j * kRows) * kTileRow + at] = slice.x[j];
}

#define Sums coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator>

void multiply(uint which, uint my_n, uint my_t, inout Sums sums[kFragmentsT][kFragmentsN]) {
    [[unroll]] for (uint k = 0; k < DEPTH / 16; ++k) {
        coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseA> x[kFragmentsT];
        [[unroll]] for (uint t = 0; t < kFragmentsT; ++t)
            coopMatLoad(x[t], tile_x, (which * TILE_T + my_t + t * 16) * kTileRow + k * 2, kTileRow,
                        gl_CooperativeMatrixLayoutRowMajor);
        [[unroll]] for (uint n = 0; n < kFragmentsN; ++n) {
            coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseB> w;
            coopMatLoad(w, tile_w, (which * TILE_N + my_n + n * 16) * kTileRow + k * 2, kTileRow,
                        gl_CooperativeMatrixLayoutColumnMajor);
            [[unroll]] for (uint t = 0; t < kFragmentsT; ++t)
                sums[t][n] = coopMatMulAdd(x[t], w, sums[t][n]);
        }
    }
}

// 16 by 16 results that lie in `stage`.
void write_block(uint first_n, uint first_t) {
    [[unroll]] for (uint j = 0; j < 8; ++j) {
        const uint i = gl_SubgroupInvocationID + j * 32;
        const uint n = first_n + i % 16, t = first_t + i / 16;
        if (n >= p.n || t >= p.rows) continue;
        float value = stage[gl_SubgroupID * 256 + i] * F32(p.scales).v[t];
        if (p.add != 0) value += F32(p.add + uint64_t(t) * p.add_stride * 4).v[n];
        F32(p.y + uint64_t(t) * p.n * 4).v[n] = value;
    }
}

void main() {
    const uint first_n = gl_WorkGroupID.y * TILE_N, first_t = gl_WorkGroupID.x * TILE_T;
    const uint my_n = gl_SubgroupID % (TILE_N / WARP_N) * WARP_N;
    const uint my_t = gl_SubgroupID / (TILE_N / WARP_N) * WARP_T;
    const uint own = gl_LocalInvocationID.x / kRow * kStride + gl_LocalInvocationID.x % kRow * 8;
    uint64_t w = p.w + (uint64_t(first_n) * kStride + own) * 2;
    uint64_t x = p.x + (uint64_t(first_t) * kStride + own) * 2;
    Sums sums[kFragmentsT][kFragmentsN];
    [[unroll]] for (uint t = 0; t < kFragmentsT; ++t)
        [[unroll]] for (uint n = 0; n < kFragmentsN; ++n)
            sums[t][n] = Sums(0.0);
    Slice slice;
    fetch(slice, w, x);
#if STAGES == 2
    store(slice, 0);
    barrier();
    uint which = 0;
    for (uint depth = DEPTH; depth < kStride; depth += DEPTH) {
        w += DEPTH * 2;
        x += DEPTH * 2;
        fetch(slice, w, x);
        multiply(which, my_n, my_t, sums);
        which ^= 1;
        store(slice, which);
        barrier();
    }
    multiply(which, my_n, my_t, sums);
#else
    for (uint depth = 0; depth < kStride; depth += DEPTH) {
        barrier();
        store(slice, 0);
        barrier();
        w += DEPTH * 2;
        x += DEPTH * 2;
        if (depth + DEPTH < kStride) fetch(slice, w, x);
        multiply(0, my_n, my_t, sums);
    }
#endif
    [[unroll]] for (uint t = 0; t < kFragmentsT; ++t)
        [[unroll]] for (uint n = 0; n < kFragmentsN; ++n) {
            coopMatStore(sums[t][n], stage, gl_SubgroupID * 256, 16,
                         gl_CooperativeMatrixLayoutRowMajor);
            subgroupBarrier();
            write_block(first_n + my_n + n * 16, first_t + my_t + t * 16);
            subgroupBarrier();
        }
}
