// Push constants of all shaders, at most 128 bytes each: one definition for C++ and GLSL.
// Addresses are device addresses; strides and sizes are in elements unless they say otherwise.
#ifndef REALIZAR_VULKAN_PARAMS_H
#define REALIZAR_VULKAN_PARAMS_H

#ifdef __cplusplus
#include <cstdint>
namespace realizar::vulkan {
using uint = uint32_t;
#endif

// Rows of an operand. Row r of a tensor [n0, n1, n2, inner] is (r / n2 / n1, r / n2 % n1, r % n2);
// a stride of 0 repeats.
struct Rows {
    uint64_t base;
    uint s0, s1, s2;
    uint unused;
};

// A quantised matrix in planes (include/types/*.glsl): group g of 32 elements of row n is number
// n * stride + g of each plane.
struct Planes {
    uint64_t plane[4];
    uint stride; // groups from one row to the next
    uint groups; // of a row
};

// A dispatch's place in a chain (include/chain.glsl).
struct Link {
    uint64_t counter; // of the chain's workgroups that are done; 0: no chain
    uint before;      // how many of them this dispatch waits for
    uint patience;    // looks at the counter before it gives up
};

struct ElementwiseParams {
    Rows a, b;
    uint64_t y;
    uint n1, n2, inner, total;
    float scale, bias;
};

struct NormParams {
    Rows x;
    uint64_t weight, bias, y; // 0: none
    uint n1, n2, inner, rows;
    float epsilon;
};

struct SoftmaxParams {
    Rows x;
    uint64_t y;
    uint n1, n2, inner, rows;
    float scale;
};

// y [rows, 2 * pairs]: cosines, sines. `turns` holds the frequency of each pair in turns per
// position as two floats, high and low part.
struct AnglesParams {
    uint64_t positions, turns, factors, y;
    uint pairs, rows;
    float magnitude;
};

struct RopeParams {
    Rows x;
    uint64_t angles, y;
    uint heads, inner, pairs, halves, total; // total: of elements
};

// The cache's strides are in units of its type's alignment: 4 bytes for F32, else 2.
struct KvWriteParams {
    Rows x;
    uint64_t cells, cache;
    uint heads, inner, tokens, capacity;
    uint cell_stride, head_stride;
    uint pairs, halves; // of a rotation on the way, as RopeParams
    uint64_t angles;
};

struct GetRowsParams {
    Planes table; // plain types: plane[0] and stride, in elements
    uint64_t ids, y;
    uint inner, tokens, rows;
};

// x -> 8 bits with a scale for each 32: first the lower halves of all groups of all rows in q, then the
// upper ones; s [rows, inner / 32] of (scale, scale * sum of the group). `other`: the second operand
// of a GLU, or a base alone: the weight of a norm, 0 for none.
struct QuantizeParams {
    Rows x, other;
    uint64_t q, s;
    uint n1, n2, inner, rows;
    float epsilon;
};

// y [rows, n] = x * w^T (+ add). Vectors of x have been quantised; see QuantizeParams.
struct MatvecQuantParams {
    Planes w;
    uint64_t q, s, y, add; // add 0: none
    uint n, rows, add_stride;
};

// One vector of floats, which each workgroup turns into 8 bits itself, after RMS_NORM if `norm` is its
// weight (its presence is a specialisation constant). With GLU, rows n.. 2n-1 of w are the second
// operand.
struct MatvecSingleParams {
    Planes w;
    uint64_t x, norm, y;
    uint64_t add; // 0: none; matvec_qkv.comp: three addresses of biases or 0
    uint n;       // rows of w; with GLU half of them
    float epsilon;
    uint64_t angles, cells, k, v; // matvec_qkv.comp: of the token; the caches
    Link link;
};

// MATMUL with x as floats and w of a plain type, or w in planes (matmul_tile_*).
struct MatmulParams {
    Planes w; // plain types: plane[0] and stride, in elements
    Rows x;
    uint64_t y, add;
    uint k, n, n1, n2, rows, add_stride;
};

// x -> F16: y [rows, stride], behind inner zeros, and the factor of each row in scales [rows]. `other`:
// the second operand of a GLU, or a base alone: the weight of a norm.
struct HalfRowsParams {
    Rows x, other;
    uint64_t y, scales;
    uint n1, n2, inner, rows, stride;
    float epsilon;
};

// MATMUL on x from HalfRowsParams; w in planes, or plane[0] and stride of F16.
struct MatmulCoopmatParams {
    Planes w;
    uint64_t x, scales, y, add; // add 0: none
    uint k, n, rows, add_stride, x_stride;
};

// w in planes -> F16: y [rows, stride], zeros behind the elements of a row.
struct HalfWeightsParams {
    Planes w;
    uint64_t y;
    uint rows, stride;
};

// MATMUL on x from HalfRowsParams and w from HalfWeightsParams; their stride is a specialisation
// constant.
struct MatmulHalfParams {
    uint64_t w, x, scales, y, add; // add 0: none
    uint n, rows, add_stride;
};

struct AttentionParams {
    uint64_t q, k, v, table, y; // table: an AttentionTable
    uint q_token, q_head, sequences;
    uint k_cell, k_head, v_cell, v_head; // in units of the type's alignment
    uint tokens, heads, group, dk, dv;
    uint splits;
    float scale, softcap;
};

// attention_decode.comp. The parts of the splits, and how many of them have ended.
struct AttentionDecodeParams {
    uint64_t q, k, v, y, parts, counters;
    uint64_t positions, sequences, pages, lengths, sinks, slopes; // sinks, slopes 0: none
    uint tokens, splits;
    float scale, softcap;
    Link link;
};

// What does not fit into the push constants, written once when the program is bound.
struct AttentionTable {
    uint64_t positions, sequences, pages, lengths, sinks, slopes; // sinks, slopes 0: none
    uint page_columns, page_stride, page_size, cells;
    uint causal, window;
};

struct CombineParams {
    uint64_t parts, sinks, y;
    uint rows, heads, dv, splits; // rows: tokens * heads
};

struct SelectParams {
    uint64_t x, values, indices;
    uint64_t picked; // of top_k_pick.comp
    uint stride, inner, rows, k;
};

// The best of each piece of a row: of numbers `x`, or of what the pieces of the level before gave.
struct SelectPieceParams {
    uint64_t x;
    uint64_t from;            // 0, or [rows, inner] of (order, index); order 0 and index ~0: none
    uint64_t to;              // [rows, pieces, kept] of these; 0: the last level
    uint64_t values, indices; // [rows, kept] of the last level; values 0: none
    uint stride, inner, rows, kept, pieces;
    uint least; // order that smaller ones count as: ARGMAX takes NaN for -Inf
};

struct SampleParams {
    uint64_t logits, tokens, draws, y;
    uint logits_stride, tokens_stride, draws_stride, count, rows;
};

struct CopyParams {
    Rows x;
    uint64_t y;
    uint n1, n2, inner, total;
};

struct ConcatParams {
    Rows a, b;
    uint64_t y;
    uint n1, n2, a_inner, b_inner, total; // total: of elements of y
};

struct RouteParams {
    uint64_t logits, bias, weights, experts; // bias 0: none
    uint stride, rows, k, gating, groups, groups_used, group_top, normalise;
    float scale;
};

struct WeightedSumParams {
    uint64_t x, weights, y;
    uint x_token, x_part, w_token, parts, inner, total; // total: of elements of y
};

struct SsmConvParams {
    uint64_t state, x, weight, y, positions, sequences, bias; // bias 0: none
    uint tokens, channels, taps, states, state_stride, tap_stride, x_stride, w_stride;
};

// Sizes and strides are specialisation constants of ssm_scan.comp.
struct SsmScanParams {
    uint64_t state, x, dt, a, b, c, positions, sequences, d, y; // d 0: none
    uint tokens;
};

// Lines are the rows of the result, [tokens, chosen]; ids 0: line j of a token takes expert j.
struct ExpertSortParams {
    uint64_t ids, order;
    uint lines, chosen, ids_stride, experts, most_tiles;
};

// Few lines, x as QuantizeParams makes it of x_lines rows: one for each token or, if `own`, each line.
struct ExpertVectorParams {
    Planes w;
    uint64_t q, s, ids, bias, y; // bias 0: none
    uint n, chosen, experts, ids_stride, expert_stride, bias_stride, x_lines, own;
};

// x as floats, strides of its tokens and lines in s0 and s1. w in planes, or plane[0] and stride of a
// plain type; expert_stride in the same units. `ids`: for tiles what expert_sort.comp made.
struct ExpertParams {
    Planes w;
    Rows x;
    uint64_t ids, bias, y;
    uint k, n, chosen, experts, ids_stride, expert_stride, bias_stride;
};

// Rows of canonical blocks -> planes. `stride` in units of 2 bytes, counts in blocks of the type.
struct PackParams {
    uint64_t source;
    uint64_t plane[4];
    uint stride, blocks, rows;
};

#ifdef __cplusplus
} // namespace realizar::vulkan
#endif
#endif // REALIZAR_VULKAN_PARAMS_H
