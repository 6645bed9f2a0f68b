// First arguments of all kernels: one definition for C++ and OpenCL C. What is called a base, or ends in
// `_at`, is a byte offset in the buffer that the kernel gets beside it; kNone: no such operand. Strides
// and sizes are in elements unless they say otherwise.
#ifndef REALIZAR_OPENCL_PARAMS_H
#define REALIZAR_OPENCL_PARAMS_H

#ifdef __cplusplus
#include <cstdint>
namespace realizar::opencl {
using uint = uint32_t;
using ulong = uint64_t;
constexpr ulong kNone = ~ulong{0};
#else
#define kNone (~0ul)
#endif

// Rows of an operand. Row r of a tensor [n0, n1, n2, inner] is (r / n2 / n1, r / n2 % n1, r % n2);
// a stride of 0 repeats.
typedef struct {
    ulong base;
    uint s0, s1, s2, unused;
} Rows;

// A quantised matrix in planes (types/*.h): group g of 32 elements of row n is number
// n * stride + g of each plane.
typedef struct {
    ulong plane[4];
    uint stride; // groups from one row to the next
    uint groups; // of a row
} Planes;

// operation: 0 ADD, 1 MUL, 2 SCALE, 3 CLAMP (to scale..bias), 16 + kind UNARY, 32 + kind GLU.
typedef struct {
    Rows a, b;
    ulong y_at;
    uint n1, n2, inner, total;
    uint operation;
    float scale, bias;
    uint unused;
} ElementwiseParams;

typedef struct {
    Rows x;
    ulong weight_at, bias_at, y_at; // weight, bias: kNone
    ulong q_at, s_at;               // results in 8 bits instead of y (QuantizeParams); kNone: y
    uint n1, n2, inner, rows;
    uint layer; // 0 RMS_NORM, 1 LAYER_NORM
    float epsilon;
} NormParams;

typedef struct {
    Rows x;
    ulong y_at;
    uint n1, n2, inner, rows;
    float scale;
    uint unused;
} SoftmaxParams;

// y [rows, 2 * pairs]: cosines, sines. `turns` holds the frequency of each pair in turns per
// position as two floats, high and low part.
typedef struct {
    ulong positions_at, turns_at, factors_at, y_at; // factors: kNone
    uint pairs, rows;
    float magnitude;
    uint unused;
} AnglesParams;

typedef struct {
    Rows x;
    ulong angles_at, y_at;
    uint heads, inner, pairs, halves, total; // total: of elements
    uint unused;
} RopeParams;

// The cache's strides are in units of its type's alignment: 4 bytes for F32, else 2.
typedef struct {
    Rows x;
    ulong cells_at, cache_at, angles_at;
    uint heads, inner, tokens, capacity;
    uint cell_stride, head_stride;
    uint pairs, halves; // of a rotation on the way, as RopeParams; 0 pairs: none
    uint type, unused;
} KvWriteParams;

typedef struct {
    Planes table; // plain types: plane[0] and stride, in elements
    ulong ids_at, y_at;
    uint inner, tokens, rows, unused;
} GetRowsParams;

// x -> 8 bits with a scale for each 32: q [rows, inner] and s [rows, inner / 32] of (scale, scale *
// sum of the group). glu: 1 + kind of a GLU of x and b; 0: x alone.
typedef struct {
    Rows x, b;
    ulong q_at, s_at;
    uint n1, n2, inner, rows;
    uint glu, unused;
} QuantizeParams;

// Rows [.., end) of w make one result, y [rows, its rows] (+ add).
typedef struct {
    ulong y_at, add_at; // add: kNone
    uint end, add_stride;
} Segment;

// Results of up to three matrices that lie one behind the other, for vectors from QuantizeParams.
typedef struct {
    Planes w;
    Segment segment[3];
    ulong q_at, s_at;
    uint n, rows; // n: of all segments
} MatvecQuantParams;

// One vector x as floats and a matrix in planes (single.h): x is normalised first if the program says
// so, with weights from norm_at (kNone: without).
typedef struct {
    Planes w;
    ulong x_at, norm_at;
    float epsilon;
    uint unused;
} SingleParams;

// n: rows of all segments; of a GLU, of one of the two matrices.
typedef struct {
    SingleParams x;
    Segment segment[3];
    uint n, unused;
} MatvecSingleParams;

// n rows from `first` on of those of Q, K and V (rows_q, rows_k, then V). width: of a head of Q and K;
// `turned` pairs of it are rotated. Strides of the caches in elements.
typedef struct {
    SingleParams x;
    ulong y_at, bias_at[3], angles_at, cells_at, k_at, v_at;
    uint n, first, rows_q, rows_k;
    uint width, width_v, turned, halves;
    uint cells, k_cell, k_head, v_cell, v_head, unused;
} MatvecQkvParams;

// MATMUL with x as floats and w of a plain type, or w in planes.
typedef struct {
    Planes w; // plain types: plane[0] and stride, in elements
    Rows x;
    ulong y_at, add_at;
    uint k, n, n1, n2, rows, add_stride;
} MatmulParams;

// x -> F16: y [rows, inner], and the factor of each row in scales [rows].
typedef struct {
    Rows x;
    ulong y_at, scales_at;
    uint n1, n2, inner, rows;
} HalfRowsParams;

// MATMUL on x from HalfRowsParams; w in planes, or plane[0] and stride of F16.
typedef struct {
    Planes w;
    ulong x_at, scales_at, y_at, add_at; // add: kNone
    uint k, n, rows, add_stride;
} MatmulMmaParams;

typedef struct {
    ulong q_at, k_at, v_at, y_at;
    ulong positions_at, sequences_at, pages_at, lengths_at, sinks_at, slopes_at; // last two: kNone
    ulong parts_at, counters_at; // attention_decode.cl
    uint q_token, q_head, sequences;
    uint k_cell, k_head, v_cell, v_head; // in units of the type's alignment
    uint tokens, heads, group, dk, dv;
    uint page_columns, page_stride, page_size, cells;
    uint causal, window, splits;
    float scale, softcap;
    uint unused;
} AttentionParams;

// Rows of w from `first` on -> F16 or F32: y [rows, k].
typedef struct {
    Planes w; // plain types: plane[0] and stride, in elements
    ulong y_at;
    uint k, first, rows, unused;
} DecodeParams;

// MATMUL on x from HalfRowsParams and w of F16 [n, stride].
typedef struct {
    ulong w_at, x_at, scales_at, y_at, add_at; // add: kNone
    uint k, n, rows, add_stride, stride, unused;
} MatmulHalfParams;

typedef struct {
    ulong parts_at, sinks_at, y_at; // sinks: kNone
    uint rows, heads, dv, splits;   // rows: tokens * heads
} CombineParams;

// The k best of rows, in two steps: which ones, [rows, k] in any order, and their places.
typedef struct {
    ulong x_at, values_at, indices_at, picked_at;
    uint stride, inner, rows, k;
} SelectParams;

// The best of each piece of a row: of numbers x, or of what the pieces of the level before gave.
typedef struct {
    ulong x_at;
    ulong from_at; // kNone, or [rows, inner] of (order, index); order 0, index ~0: none
    ulong to_at;   // [rows, pieces, kept] of these; kNone: the last level
    ulong values_at, indices_at; // [rows, kept] of the last level; values kNone: ARGMAX
    uint stride, inner, rows, kept, pieces;
    uint least; // order that smaller ones count as: ARGMAX takes NaN for -Inf
} SelectPieceParams;

typedef struct {
    ulong logits_at, tokens_at, draws_at, y_at;
    uint logits_stride, tokens_stride, draws_stride, count, rows, unused;
} SampleParams;

typedef struct {
    Rows x;
    ulong y_at;
    uint n1, n2, inner, total;
    uint from, to; // types
} CopyParams;

// Rows of x -> y, contiguous, each run of elements rotated (hadamard.h).
typedef struct {
    Rows x;
    ulong y_at;
    uint n1, n2, inner, runs; // runs: of all rows
} HadamardParams;

// a and b -> rows of y, side by side.
typedef struct {
    Rows a, b;
    ulong y_at;
    uint n1, n2, inner_a, inner_b, total, unused;
} ConcatParams;

// Rows of canonical blocks -> planes. `stride` in units of 2 bytes, counts in blocks of the type.
typedef struct {
    ulong source_at;
    ulong plane[4];
    uint stride, blocks, rows, unused;
} PackParams;

#ifdef __cplusplus
} // namespace realizar::opencl
#endif
#endif // REALIZAR_OPENCL_PARAMS_H
