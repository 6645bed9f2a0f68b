// The kernels of the CPU backend as a table of functions: one table per instruction set.
//
// Each kernel is written once (the other headers of this folder) against simd_<name>.h; families of them
// (family_*.cpp) are compiled once for each instruction set, with its flags. Nothing in this folder may
// include a C++ library header with inline functions: their shared copies could be compiled with wide
// instructions and then run on a machine without them.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace realizar::cpu {

// Element types of weights and tables that kernels read, as dense indices.
enum WeightType : unsigned {
    kF32,
    kF16,
    kBF16,
    kQ8_0,
    kQ4_0,
    kQ4_K,
    kQ6_K,
    kQ4_1,
    kQ5_0,
    kQ5_1,
    kQ3_K,
    kQ5_K,
    kIQ4_NL,
    kIQ4_XS,
    kMXFP4,
    kWeightTypes,
};

// A row of activations in 8 bits, the right-hand side of quantised matmuls. Per block of 32
// elements one scale d = max|x| / 127. In memory, for a row of k elements (k a multiple of 32):
//   int8_t  q[k]           x ~ q * d
//   float   d[k / 32]
//   float   ds[k / 32]     d * (sum of the block's q)
//   int16_t sums[k / 16]   sums of q over 16 elements
//   int32_t negated[k / 32] minus the sums of q over the blocks
struct Q8Row {
    const int8_t *q;
    const float *d;
    const float *ds;
    const int16_t *sums;
    const int32_t *negated;
};
static inline Q8Row q8_row(const uint8_t *row, uint64_t k) {
    const uint8_t *d = row + k;
    return {reinterpret_cast<const int8_t *>(row), reinterpret_cast<const float *>(d),
            reinterpret_cast<const float *>(d + k / 8),
            reinterpret_cast<const int16_t *>(d + k / 4),
            reinterpret_cast<const int32_t *>(d + k / 4 + k / 8)};
}
// Bytes of such a row, rounded up to whole cache lines.
static inline uint64_t q8_row_bytes(uint64_t k) { return (k + k / 2 + 63) / 64 * 64; }

// The same for packed weights with blocks of 256: one scale d = max|x| / 127 per 256 elements, so that
// the scales within a block of weights can be applied to integers. For a row of k elements, a multiple
// of 256:
//   int8_t  q[k]
//   int32_t offsets[k / 16]  -32 * (sum of q over 16 elements)
//   int16_t sums16[k / 16]   sums of q over 16 elements
//   int16_t sums[k / 32]     sums of q over 32 elements
//   float   d[k / 256]
struct Q8LongRow {
    const int8_t *q;
    const int32_t *offsets;
    const int16_t *sums16;
    const int16_t *sums;
    const float *d;
};
static inline Q8LongRow q8_long_row(const uint8_t *row, uint64_t k) {
    const uint8_t *offsets = row + k, *sums16 = offsets + k / 4, *sums = sums16 + k / 8;
    return {reinterpret_cast<const int8_t *>(row), reinterpret_cast<const int32_t *>(offsets),
            reinterpret_cast<const int16_t *>(sums16), reinterpret_cast<const int16_t *>(sums),
            reinterpret_cast<const float *>(sums + k / 16)};
}
static inline uint64_t q8_long_row_bytes(uint64_t k) {
    return (k + k / 4 + k / 8 + k / 16 + k / 64 + 63) / 64 * 64;
}

// y[r] = dot(w[r], x) for r < rows. x: k floats (kF32, kF16, kBF16) or a Q8Row in memory.
struct DotArgs {
    const uint8_t *w;
    int64_t w_stride; // bytes from row to row
    uint64_t rows;
    uint64_t k;
    const uint8_t *x;
    float *y;
};

// y[t][r] = dot(w[r], x[t]) for r < rows <= panel_rows and t < tokens.
struct GemmArgs {
    const uint8_t *w;
    int64_t w_stride;
    uint64_t rows;
    uint64_t k;
    const uint8_t *x; // rows as in DotArgs
    int64_t x_stride;
    uint64_t tokens;
    float *y;
    int64_t y_stride;
    uint8_t *scratch; // gemm_scratch bytes, 64-byte aligned
};

// The same for packed weights (packed_layout.h): y[t][r] for r < rows and t < tokens.
struct PackedArgs {
    const uint8_t *w; // groups of kPackedRows rows, one behind the other
    uint64_t rows;    // the last group may be padded
    uint64_t k;
    const uint8_t *x; // rows of Q8LongRow (blocks of 256), Q8Row (blocks of 32) or floats
    int64_t x_stride; // bytes
    uint64_t tokens;
    float *y;
    int64_t y_stride; // bytes
    uint8_t *scratch; // Kernels::packed_scratch bytes, 64-byte aligned
    // NULL: rows t of x and y. Else token t is row lines[t] of y and lines[t] / lines_per_x of x.
    const int32_t *lines;
    int32_t lines_per_x;
};
constexpr uint64_t kPackedRows = 16;

// Positions of one call of the attention kernels: at most this many.
constexpr uint64_t kAttentionChunk = 64;
constexpr uint64_t kQueryLanes = 16; // any vector's lanes divide it

// One step of online softmax (Milakov and Gimelshein, arXiv:1805.02867) for a group of queries that
// share a key head: folds `count` keys and values, staged as floats in scratch, into the running (max,
// sum, acc) of each query. Vectors have queries as lanes, so nothing is summed across them.
struct AttentionArgs {
    const float *q; // transposed, [dk][lanes] with zeros behind the last query
    const float *k; // [count][dk], with readable memory up to a multiple of 4 keys
    const float *v; // [count][dv]
    float *scores;  // [lanes][kAttentionChunk]: scratch
    float *max;     // [lanes], starts at -Inf
    float *sum;     // [lanes]
    float *acc;     // [queries][dv]
    float *factors; // [lanes]: scratch
    uint64_t queries;
    uint64_t lanes; // queries rounded up to a multiple of kQueryLanes
    uint64_t dk;
    uint64_t dv;
    uint64_t count;
    float scale;
    float softcap;          // 0: none
    const float *slopes;    // [lanes] ALiBi, NULL: none
    const int64_t *bias_at; // [lanes] first key's position minus the query's position
    const uint32_t *first;  // [lanes] keys [first, last) of the chunk are visible to the query
    const uint32_t *last;
};

// The same step for queries that all see the same keys, in three calls: scores from keys in the cache,
// their softmax, values from the cache. Keys and values are read in place, each row once for a few queries.
// scores[i][j] = q[i] . k[j]
struct KeyArgs {
    const float *q;   // [queries][dk]
    const uint8_t *k; // rows of dk elements of the cache's type
    int64_t stride;   // bytes from row to row
    float *scores;    // [queries][kAttentionChunk]
    uint64_t queries;
    uint64_t dk;
    uint64_t count;
    const uint8_t *next; // as k: next_count rows that will be wanted soon
    uint64_t next_count;
};
// Scores become weights e^(score - max); max and sum are updated, and factors[i] is by what the query's
// acc is to be multiplied.
struct SoftenArgs {
    float *scores;
    float *max, *sum; // [queries], max starts at -Inf
    float *factors;   // [queries]
    uint64_t queries;
    uint64_t count;
    float scale;
    float softcap;       // 0: none
    const float *slopes; // [queries] ALiBi, NULL: none
    int64_t bias_at;     // first key's position minus the queries'
};
// acc[i] = acc[i] * factors[i] + the sum of weights[i][j] * v[j]
struct ValueArgs {
    const float *weights; // [queries][kAttentionChunk]
    const float *factors;
    const uint8_t *v; // as KeyArgs::k
    int64_t stride;
    float *acc; // [queries][dv]
    uint64_t queries;
    uint64_t dv;
    uint64_t count;
    const uint8_t *next;
    uint64_t next_count;
};

struct Kernels {
    const char *isa;
    // Kernel calls of this table since the process began (decode, which runs per row of a cache, is
    // not counted; calls at the same time may count once). Bumped inside the instruction set's own
    // object code, so it proves which code ran.
    uint64_t (*calls)();

    uint64_t panel_rows; // rows of w that one gemm call handles
    // From how many tokens on gemm beats a dot per token.
    uint64_t gemm_tokens[kWeightTypes];
    void (*dot[kWeightTypes])(const DotArgs &);
    void (*gemm[kWeightTypes])(const GemmArgs &);
    uint64_t (*gemm_scratch)(WeightType type, uint64_t k);
    void (*packed[kWeightTypes])(const PackedArgs &); // NULL: no packed layout
    uint64_t packed_scratch;                          // bytes
    // Up to so many tokens `packed` takes one group of rows after the other, for more several at once.
    uint64_t few_tokens[kWeightTypes];

    // n elements, n a multiple of the type's block.
    void (*decode[kWeightTypes])(const uint8_t *blocks, float *out, uint64_t n);
    void (*encode_f16)(const float *x, uint16_t *y, uint64_t n);
    void (*encode_bf16)(const float *x, uint16_t *y, uint64_t n);
    void (*encode_q8_0)(const float *x, uint8_t *y, uint64_t n);
    void (*quantize)(const float *x, uint8_t *q8_row, uint64_t k);
    void (*quantize_long)(const float *x, uint8_t *q8_long_row, uint64_t k);

    // x and y may be the same memory.
    void (*add)(const float *a, const float *b, float *y, uint64_t n);
    void (*mul)(const float *a, const float *b, float *y, uint64_t n);
    void (*scale)(const float *x, float *y, uint64_t n, float scale, float bias);
    void (*rms_norm)(const float *x, const float *weight, float *y, uint64_t n, float epsilon);
    void (*layer_norm)(const float *x, const float *weight, const float *bias, float *y, uint64_t n,
                       float epsilon);
    void (*unary)(uint32_t kind, const float *x, float *y, uint64_t n);
    void (*glu)(uint32_t kind, const float *gate, const float *up, float *y, uint64_t n);
    void (*softmax)(const float *x, float *y, uint64_t n, float scale);
    uint64_t (*argmax)(const float *x, uint64_t n);
    // Rotates `pairs` pairs; angles: cos[pairs] then sin[pairs]. Elements from 2 * pairs to n are
    // copied.
    void (*rope)(uint32_t pairing, const float *x, const float *angles, float *y, uint64_t pairs,
                 uint64_t n);
    void (*attention)(const AttentionArgs &);
    // For the types of caches; NULL for others.
    void (*score_keys[kWeightTypes])(const KeyArgs &);
    void (*soften)(const SoftenArgs &);
    void (*add_values[kWeightTypes])(const ValueArgs &);
};

// To be called where the instruction set is there: they make their table the first time.
const Kernels *scalar_kernels();
const Kernels *avx2_kernels();
const Kernels *avxvnni_kernels();
const Kernels *avx512_kernels();

} // namespace realizar::cpu
