// MATMUL for many rows of x with cooperative matrices: a workgroup makes TILE by TILE results, a
// subgroup of 32 TILE/2 (of w) by 32 (of x) of them. Weights become F16 in shared memory; x comes in
// F16 from half_rows.comp. While one slice of k is multiplied, the next is on its way to registers.
// Sums are F32. w in planes, or F16 with TYPE_F16; weights beyond 65504 would become infinite.
#version 460
#include "common.glsl"
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#ifndef TYPE_F16
#include "types/type.glsl"
#endif

const uint kDepth = 64;             // of a slice
const uint kStride = kDepth / 8 + 1; // of its rows in 16 bytes: one more keeps them in other banks
const uint kThreads = 2 * TILE;
const uint kPieces = TILE * kDepth / 8 / kThreads; // of 16 bytes, for a thread
const uint kFragmentsN = TILE / 32, kFragmentsT = 2;
layout(local_size_x = kThreads) in;
layout(push_constant) uniform Push { MatmulCoopmatParams p; };

shared uvec4 tile_w[TILE * kStride];
shared uvec4 tile_x[TILE * kStride];
shared float stage[TILE / 16 * 256]; // 16 by 16 for each subgroup

// What a thread carries of a slice, as it came from memory.
struct Slice {
#ifdef TYPE_F16
    uvec4 w[kPieces];
#else
    uvec4 low, high;
    GroupScale scale;
#endif
    uvec4 x[kPieces];
};

// Piece j of this thread: row and place in the row, in 16 bytes.
uvec2 piece(uint j) {
    const uint i = gl_LocalInvocationID.x + j * kThreads;
    return uvec2(i / (kDepth / 8), i % (kDepth / 8));
}

void fetch(out Slice slice, uint first_n, uint first_t, uint depth) {
#ifndef TYPE_F16
    const uint row = min(first_n + gl_LocalInvocationID.x / 2, p.n - 1);
    const uint group = depth / 32 + gl_LocalInvocationID.x % 2;
    const uint g = row * p.w.stride + min(group, p.w.groups - 1);
    load_quants(p.w, g, slice.low, slice.high);
    slice.scale = load_scale(p.w, g);
    if (group >= p.w.groups) slice.scale = group_scale(0.0, 0.0, 0.0);
#endif
    [[unroll]] for (uint j = 0; j < kPieces; ++j) {
        const uvec2 at = piece(j);
        const uint element = depth + at.y * 8;
        const uint t = min(first_t + at.x, p.rows - 1);
        slice.x[j] = U32x4(p.x + (uint64_t(t) * p.x_stride + element) * 2).v[0];
#ifdef TYPE_F16
        const uint n = min(first_n + at.x, p.n - 1);
        slice.w[j] = element < p.k
                         ? U32x4(p.w.plane[0] + (uint64_t(n) * p.w.stride + element) * 2).v[0]
                         : uvec4(0);
#endif
    }
}

#ifndef TYPE_F16
// Bytes 2i and 2i + 1 of a word of quants.
uint decode(uint word, uint i, float scale, float minimum) {
    const vec2 quants = vec2(signed_byte(word, 2 * i), signed_byte(word, 2 * i + 1));
    return packFloat2x16(f16vec2(scale * quants - minimum));
}
uvec4 decode(uvec2 words, float scale, float minimum) {
    return uvec4(decode(words.x, 0, scale, minimum), decode(words.x, 1, scale, minimum),
                 decode(words.y, 0, scale, minimum), decode(words.y, 1, scale, minimum));
}
#endif

void store(Slice slice) {
#ifndef TYPE_F16
    const uint row = gl_LocalInvocationID.x / 2, group = gl_LocalInvocationID.x % 2;
    const uint to = row * kStride + group * 4;
    const GroupScale s = slice.scale;
    tile_w[to] = decode(slice.low.xy, s.low, s.minimum);
    tile_w[to + 1] = decode(slice.low.zw, s.low, s.minimum);
    tile_w[to + 2] = decode(slice.high.xy, s.high, s.upper_minimum);
    tile_w[to + 3] = decode(slice.high.zw, s.high, s.upper_minimum);
#endif
    [[unroll]] for (uint j = 0; j < kPieces; ++j) {
        const uvec2 at = piece(j);
        tile_x[at.x * kStride + at.y] = slice.x[j];
#ifdef TYPE_F16
        tile_w[at.x * kStride + at.y] = slice.w[j];
#endif
    }
}

#define Sums coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator>

void multiply(uint my_n, uint my_t, inout Sums sums[kFragmentsT][kFragmentsN]) {
    [[unroll]] for (uint k = 0; k < kDepth / 16; ++k) {
        coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseA> x[kFragmentsT];
        [[unroll]] for (uint t = 0; t < kFragmentsT; ++t)
            coopMatLoad(x[t], tile_x, (my_t + t * 16) * kStride + k * 2, kStride,
                        gl_CooperativeMatrixLayoutRowMajor);
        [[unroll]] for (uint n = 0; n < kFragmentsN; ++n) {
            coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseB> w;
            coopMatLoad(w, tile_w, (my_n + n * 16) * kStride + k * 2, kStride,
                        gl_CooperativeMatrixLayoutColumnMajor);
            [[unroll]] for (uint t = 0; t < kFragmentsT; ++t)
                sums[t][n] = coopMatMulAdd(x[t], w, sums[t][n]);
        }
    }
}

// 16 by 16 results that lie in `stage`.
void write_block(uint first_n, uint first_t) {
    for (uint i = gl_SubgroupInvocationID; i < 256; i += gl_SubgroupSize) {
        const uint n = first_n + i % 16, t = first_t + i / 16;
        if (n >= p.n || t >= p.rows) continue;
        float value = stage[gl_SubgroupID * 256 + i] * F32(p.scales).v[t];
        if (p.add != 0) value += F32(p.add + uint64_t(t) * p.add_stride * 4).v[n];
        F32(p.y + uint64_t(t) * p.n * 4).v[n] = value;
    }
}

void main() {
    const uint first_n = gl_WorkGroupID.x * TILE, first_t = gl_WorkGroupID.y * TILE;
    const uint my_n = gl_SubgroupID % 2 * (TILE / 2), my_t = gl_SubgroupID / 2 * 32;
    Sums sums[kFragmentsT][kFragmentsN];
    [[unroll]] for (uint t = 0; t < kFragmentsT; ++t)
        [[unroll]] for (uint n = 0; n < kFragmentsN; ++n)
            sums[t][n] = Sums(0.0);
    Slice slice;
    fetch(slice, first_n, first_t, 0);
    for (uint depth = 0; depth < p.k; depth += kDepth) {
        barrier();
        store(slice);
        barrier();
        if (depth + kDepth < p.k) fetch(slice, first_n, first_t, depth + kDepth);
        multiply(my_n, my_t, sums);
    }
    [[unroll]] for (uint t = 0; t < kFragmentsT; ++t)
        [[unroll]] for (uint n = 0; n < kFragmentsN; ++n) {
            coopMatStore(sums[t][n], stage, gl_SubgroupID * 256, 16,
                         gl_CooperativeMatrixLayoutRowMajor);
            subgroupBarrier();
            write_block(first_n + my_n + n * 16, first_t + my_t + t * 16);
            subgroupBarrier();
        }
}
