/* SPDX-License-Identifier: MIT
 *
 * realizar backend ABI 0.1: the contract between the realizar core and a backend plugin.
 *
 * A backend is a shared library that exports one function, `rz_plugin_entry_v1`, and carries one
 * ELF note (RZ_PLUGIN_NOTE below). Everything else goes through the tables of function pointers
 * that the entry returns. This header needs only <stddef.h> and <stdint.h>, and compiles as C11,
 * C17 and C++20.
 *
 * The way of a model
 *   entry -> driver.create -> driver.enumerate -> driver.open            once per process
 *   device.classify(graph)                    which nodes can this device run?
 *   weights.plan, create, load..., finish     weights, once per model; shared by its programs
 *   program.compile(graph, weights)           once per (region, shape bucket)
 *   instance.create, bind(states, outputs)    once per session or pipeline slot
 *   queue.submit(instance, small data)        once per step, thousands of times
 *
 * Rules
 *   Layout    64-bit little-endian hosts only. Fixed-width integers; no C enum, bool, long or
 *             bit-field in any struct. No struct has tail padding.
 *   Growth    Every struct starts with `struct_size` (bytes, set by whoever fills the struct) and
 *             `flags`. Within a major version fields are only appended. Read a field that was added
 *             after 0.1 only behind RZ_HAS. Arrays of structs carry their element stride. An unknown
 *             bit in the lower 16 bits of `flags` (the required ones) must be refused with
 *             RZ_UNSUPPORTED; unknown upper bits are ignored. Unknown values of a constant that
 *             selects something (op, dtype, role, kind) are RZ_UNSUPPORTED, never undefined.
 *   Version   While the version is 0.x the hashes of both sides must be equal (RZ_ABI_HASH).
 *   Errors    Functions return an rz_code; RZ_OK is 0. Their last parameter `err` may be NULL; when
 *             it is not, the callee fills it on failure with a sentence saying what was expected
 *             and what was found. No exception, signal, abort, exit or output crosses the boundary;
 *             text goes to rz_host.log. `destroy` functions cannot fail and accept NULL.
 *   Ownership Handles are made and destroyed by the plugin. Destroy order: instance, program,
 *             weights, buffer, queue, timeline, device, driver. Pointers inside a call's arguments
 *             are borrowed for the duration of the call unless stated otherwise. Strings are
 *             NUL-terminated UTF-8; those in static tables live as long as the plugin is mapped.
 *   Threads   Each function has a tag:
 *               [any-thread]     may be called concurrently, also on the same object
 *               [object-serial]  calls on one object never overlap; different objects may
 *               [main-serial]    calls never overlap with another [main-serial] call
 *             Callbacks (rz_host functions) may be called from any thread and must not be called
 *             while holding a lock that another ABI function takes.
 *   Sizes     Bytes, unless the name says rows, elements or nanoseconds.
 */
#ifndef REALIZAR_BACKEND_H
#define REALIZAR_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------
 * 1. Version and export
 * ------------------------------------------------------------------------------------------- */
#define RZ_ABI_MAJOR 0u
#define RZ_ABI_MINOR 1u
/* First 64 bits of the SHA-256 of this header without comments, white space and this line. The
 * build checks it (cmake/abi_hash.cmake) and prints the right value when a declaration changed. */
#define RZ_ABI_HASH 0xc6d3a2ca709f597aull

#define RZ_ENTRY_NAME "rz_plugin_entry_v1"
#define RZ_EXPORT __attribute__((visibility("default")))

/* Does the struct behind p (of type T) hold field f? */
#define RZ_HAS(p, T, f) ((p)->struct_size >= offsetof(T, f) + sizeof((p)->f))

/* Which sanitizer a binary was built with; mixing two in one process is refused. */
#define RZ_SANITIZER_NONE 0u
#define RZ_SANITIZER_ADDRESS 1u
#define RZ_SANITIZER_THREAD 2u

/* A plugin's identity card, readable from the file without running any of its code: an ELF note in
 * section ".note.realizar", owner name "realizar", type 1. Write RZ_PLUGIN_NOTE(sanitizer); once at
 * file scope of one source file. */
typedef struct rz_plugin_note {
    uint32_t name_size; /* 9: strlen("realizar") + 1 */
    uint32_t desc_size; /* 20 */
    uint32_t type;      /* 1 */
    char name[12];      /* "realizar", zero-padded to a multiple of 4 */
    uint32_t abi_major;
    uint32_t abi_minor;
    uint32_t abi_hash_low;
    uint32_t abi_hash_high;
    uint32_t sanitizer;
} rz_plugin_note;
#define RZ_PLUGIN_NOTE(sanitizer_kind)                                                             \
    __attribute__((section(".note.realizar"), used,                                                \
                   aligned(4))) static const rz_plugin_note rz_plugin_note_data = {                \
        9,                                                                                         \
        20,                                                                                        \
        1,                                                                                         \
        {'r', 'e', 'a', 'l', 'i', 'z', 'a', 'r', 0, 0, 0, 0},                                      \
        RZ_ABI_MAJOR,                                                                              \
        RZ_ABI_MINOR,                                                                              \
        (uint32_t)(RZ_ABI_HASH & 0xffffffffull),                                                   \
        (uint32_t)(RZ_ABI_HASH >> 32),                                                             \
        (sanitizer_kind)}

/* ---------------------------------------------------------------------------------------------
 * 2. Codes and errors. A code carries the reaction that is expected of the core.
 * ------------------------------------------------------------------------------------------- */
typedef int32_t rz_code;
#define RZ_OK 0
#define RZ_UNSUPPORTED 1      /* cannot do this: plan without it */
#define RZ_UNAVAILABLE 2      /* no driver or no device here: normal, quiet */
#define RZ_OUT_OF_MEMORY 3    /* free something, use a smaller bucket, or report */
#define RZ_BUSY 4             /* try again later */
#define RZ_TIMEOUT 5          /* the wait ended before the event */
#define RZ_CANCELLED 6        /* rz_host.cancelled said so */
#define RZ_DEVICE_LOST 7      /* nothing on this device works any more: move the work elsewhere */
#define RZ_INVALID_ARGUMENT 8 /* the caller broke the contract: a bug in the core */
#define RZ_INTERNAL 9         /* a bug in the plugin or its driver */
#define RZ_VERSION_MISMATCH 10

#define RZ_NONE 0xffffffffu /* "no tensor", "no node" */

typedef struct rz_error {
    uint32_t struct_size;
    uint32_t flags;
    rz_code code;
    int32_t native_code; /* of the driver (VkResult, cl_int, errno); 0 when there is none */
    uint32_t node;       /* index of the node in question, else RZ_NONE */
    uint32_t reserved;
    char message[512]; /* NUL-terminated, cut if longer */
} rz_error;

/* ---------------------------------------------------------------------------------------------
 * 3. Element types: one table for the core and all plugins.
 * Ids and block layouts are those of GGUF. A row of n elements (n a multiple of `elements`) is
 * n / elements blocks of `bytes` bytes each. Retired ids of GGUF are not listed.
 * ------------------------------------------------------------------------------------------- */
#define RZ_DTYPES(X) /* X(name, id, elements per block, bytes per block) */                        \
    X(F32, 0, 1, 4)                                                                                \
    X(F16, 1, 1, 2)                                                                                \
    X(Q4_0, 2, 32, 18)                                                                             \
    X(Q4_1, 3, 32, 20)                                                                             \
    X(Q5_0, 6, 32, 22)                                                                             \
    X(Q5_1, 7, 32, 24)                                                                             \
    X(Q8_0, 8, 32, 34)                                                                             \
    X(Q8_1, 9, 32, 36)                                                                             \
    X(Q2_K, 10, 256, 84)                                                                           \
    X(Q3_K, 11, 256, 110)                                                                          \
    X(Q4_K, 12, 256, 144)                                                                          \
    X(Q5_K, 13, 256, 176)                                                                          \
    X(Q6_K, 14, 256, 210)                                                                          \
    X(Q8_K, 15, 256, 292)                                                                          \
    X(IQ2_XXS, 16, 256, 66)                                                                        \
    X(IQ2_XS, 17, 256, 74)                                                                         \
    X(IQ3_XXS, 18, 256, 98)                                                                        \
    X(IQ1_S, 19, 256, 50)                                                                          \
    X(IQ4_NL, 20, 32, 18)                                                                          \
    X(IQ3_S, 21, 256, 110)                                                                         \
    X(IQ2_S, 22, 256, 82)                                                                          \
    X(IQ4_XS, 23, 256, 136)                                                                        \
    X(I8, 24, 1, 1)                                                                                \
    X(I16, 25, 1, 2)                                                                               \
    X(I32, 26, 1, 4)                                                                               \
    X(I64, 27, 1, 8)                                                                               \
    X(F64, 28, 1, 8)                                                                               \
    X(IQ1_M, 29, 256, 56)                                                                          \
    X(BF16, 30, 1, 2)                                                                              \
    X(TQ1_0, 34, 256, 54)                                                                          \
    X(TQ2_0, 35, 256, 66)                                                                          \
    X(MXFP4, 39, 32, 17)

typedef uint32_t rz_dtype;
#define RZ_DTYPE_F32 0u
#define RZ_DTYPE_F16 1u
#define RZ_DTYPE_Q4_0 2u
#define RZ_DTYPE_Q4_1 3u
#define RZ_DTYPE_Q5_0 6u
#define RZ_DTYPE_Q5_1 7u
#define RZ_DTYPE_Q8_0 8u
#define RZ_DTYPE_Q8_1 9u
#define RZ_DTYPE_Q2_K 10u
#define RZ_DTYPE_Q3_K 11u
#define RZ_DTYPE_Q4_K 12u
#define RZ_DTYPE_Q5_K 13u
#define RZ_DTYPE_Q6_K 14u
#define RZ_DTYPE_Q8_K 15u
#define RZ_DTYPE_IQ2_XXS 16u
#define RZ_DTYPE_IQ2_XS 17u
#define RZ_DTYPE_IQ3_XXS 18u
#define RZ_DTYPE_IQ1_S 19u
#define RZ_DTYPE_IQ4_NL 20u
#define RZ_DTYPE_IQ3_S 21u
#define RZ_DTYPE_IQ2_S 22u
#define RZ_DTYPE_IQ4_XS 23u
#define RZ_DTYPE_I8 24u
#define RZ_DTYPE_I16 25u
#define RZ_DTYPE_I32 26u
#define RZ_DTYPE_I64 27u
#define RZ_DTYPE_F64 28u
#define RZ_DTYPE_IQ1_M 29u
#define RZ_DTYPE_BF16 30u
#define RZ_DTYPE_TQ1_0 34u
#define RZ_DTYPE_TQ2_0 35u
#define RZ_DTYPE_MXFP4 39u
/* Capability masks hold one bit per id; ids stay below 64. */
#define RZ_DTYPE_BIT(dtype) (1ull << (dtype))

/* ---------------------------------------------------------------------------------------------
 * 4. Graph: flat arrays, index-based. A graph is one region; it is valid only during the call.
 *
 * Tensors are row-major, dims[0] outermost, dims[rank-1] contiguous. The innermost dimension is
 * always dense; outer dimensions have byte strides, so a slice of columns or rows of another tensor
 * is a view (storage + offset) and needs no node. Only dims[0] may be symbolic: it then holds
 * RZ_SYMBOL(s), and its value arrives with each submission. Fixed dimensions are at least 1; a
 * symbol's minimum may be 0, and a tensor without rows is legal. WEIGHT and STATE are never symbolic.
 * A storage is contiguous from offset 0; a view has the dtype and role of its storage, stays inside it,
 * and has positive strides. Two STATEs never share a key; two WEIGHTs with one key are one tensor.
 *
 * Nodes stand in execution order: a node sees the writes of all earlier nodes to a STATE. Every TEMP
 * is written by exactly one node and owns its bytes (a result is never a view). Outputs are distinct
 * TEMP storages.
 * Only STATE tensors and the listed outputs are observable. Everything else belongs to the plugin:
 * it may be fused away, kept in another type, or never exist.
 * What changes from step to step is data (INPUT tensors) or a symbol, never an attribute.
 * ------------------------------------------------------------------------------------------- */
#define RZ_MAX_RANK 4u
#define RZ_SYMBOL(index) (-1 - (int64_t)(index)) /* in rz_tensor.dims[0] */
#define RZ_SYMBOL_INDEX(dim) ((uint32_t)(-1 - (dim)))

typedef uint32_t rz_role;
#define RZ_ROLE_TEMP 0u   /* made by a node; also the outputs of a region */
#define RZ_ROLE_WEIGHT 1u /* constant, given through rz_weights */
#define RZ_ROLE_INPUT 2u  /* given with each submission (rz_update) or by a bound buffer */
#define RZ_ROLE_STATE 3u  /* lives in a bound buffer across submissions, canonical layout */

typedef struct rz_tensor {
    uint32_t struct_size;
    uint32_t flags;
    rz_dtype dtype;
    rz_role role;
    uint32_t rank;    /* 1..RZ_MAX_RANK */
    uint32_t storage; /* index of the tensor that owns the bytes; its own index unless a view.
                         A storage is never itself a view. */
    int64_t dims[4];
    int64_t strides[4]; /* bytes per step; for dims[rank-1] the bytes of one block */
    uint64_t offset;    /* bytes from the start of the storage */
    uint64_t key;       /* WEIGHT, STATE: identity that is the same in all graphs of one model */
    const char *name;   /* for messages and profiles only; may be NULL */
} rz_tensor;

typedef struct rz_symbol {
    uint32_t struct_size;
    uint32_t flags;
    int64_t min; /* inclusive bounds of the values that submissions may bring */
    int64_t max;
    int64_t hint; /* the most frequent value */
} rz_symbol;

typedef struct rz_node {
    uint32_t struct_size;
    uint32_t flags;
    uint32_t op;      /* RZ_OP_* */
    uint32_t version; /* of the op's contract; 1 for all ops of ABI 0.1 */
    uint32_t input_count;
    uint32_t output_count;
    const uint32_t *inputs;  /* tensor indices; RZ_NONE for an absent optional input */
    const uint32_t *outputs; /* tensor indices */
    const void *attributes;  /* the op's rz_attr_* struct, NULL if it has none */
    uint64_t attributes_size;
} rz_node;

typedef struct rz_graph {
    uint32_t struct_size;
    uint32_t flags;
    const rz_tensor *tensors;
    const rz_node *nodes;
    const rz_symbol *symbols;
    const uint32_t *outputs; /* tensor indices; never a view */
    uint32_t tensor_count;
    uint32_t node_count;
    uint32_t symbol_count;
    uint32_t output_count;
    uint32_t tensor_stride; /* bytes from one element to the next, as the core compiled it */
    uint32_t node_stride;
    uint32_t symbol_stride;
    uint32_t reserved;
} rz_graph;

/* ---------------------------------------------------------------------------------------------
 * 5. Operators. T is a number of tokens (rows), usually symbolic. Unless said otherwise every
 * operand and result is F32, contiguous in its innermost dimension, with arbitrary outer strides.
 * Accumulation is at least as exact as F32. NaN and Inf in an operand may give any value in the
 * results that depend on it, but must not crash, hang or touch other rows.
 * Results are compared with a float64 reference; the tolerance follows from types and lengths
 * (docs/adding-an-op.md).
 * ------------------------------------------------------------------------------------------- */

/* GET_ROWS(table [N, D] any dtype, ids I32 [T]) -> [T, D]
 * Row ids[t] of the table, dequantised. An id outside 0..N-1 gives a row of zeros. */
#define RZ_OP_GET_ROWS 1u

/* MATMUL(w [N, K] any dtype, x [..., K]) -> [..., N]:  y = x * transpose(w)
 * Where w is quantised, a plugin may round x to 8 bits per block of 32 or more elements with one
 * scale (max |x| / 127) a block; where w is F16 or BF16, to that type. */
#define RZ_OP_MATMUL 2u

/* ADD(a, b) -> like a;  MUL(a, b) -> like a
 * b has the shape of a, or the trailing dimensions of a (then it repeats over the outer ones). */
#define RZ_OP_ADD 3u
#define RZ_OP_MUL 4u

/* SCALE(x) -> like x:  y = x * scale + bias */
#define RZ_OP_SCALE 5u
typedef struct rz_attr_scale {
    uint32_t struct_size;
    uint32_t flags;
    float scale;
    float bias;
} rz_attr_scale;

/* RMS_NORM(x [..., D], weight [D] optional) -> like x:  y = x / sqrt(mean(x^2) + epsilon) * weight
 * (Zhang and Sennrich 2019, arXiv:1910.07467)
 * LAYER_NORM(x [..., D], weight [D] optional, bias [D] optional) -> like x:
 * y = (x - mean(x)) / sqrt(var(x) + epsilon) * weight + bias, var over D (Ba et al. 2016). */
#define RZ_OP_RMS_NORM 6u
#define RZ_OP_LAYER_NORM 7u
typedef struct rz_attr_norm {
    uint32_t struct_size;
    uint32_t flags;
    float epsilon;
    uint32_t reserved;
} rz_attr_norm;

/* ROPE(x [T, H, D], positions I32 [T], factors [rotated/2] optional) -> like x
 * Rotates pair i of the first `rotated` elements of each head by an angle; the rest pass through.
 * Pair i is (2i, 2i+1) for RZ_ROPE_ADJACENT and (i, i + rotated/2) for RZ_ROPE_HALVES.
 *   e   = position * base^(-2i/rotated) / factors[i]      extrapolated angle
 *   n   = scale * e                                        interpolated angle
 *   r   = extrapolation * (1 - clamp((i - low) / max(0.001, high - low), 0, 1))
 *   angle = n * (1 - r) + e * r,  low/high = floor/ceil of rotated * ln(original_context /
 *   (beta * 2 pi)) / (2 ln base) for beta = beta_fast/beta_slow, clamped to 0..rotated-1
 *   x'  = magnitude * (x_a cos - x_b sin),  y' = magnitude * (x_a sin + x_b cos)
 *   magnitude = attention_factor * (extrapolation != 0 ? 1 + 0.1 ln(1/scale) : 1)
 * Plain RoPE: scale 1, extrapolation 0, attention_factor 1 (Su et al., arXiv:2104.09864). Linear
 * scaling: scale = 1/s. Llama-3 scaling: factors. YaRN: extrapolation 1 (arXiv:2309.00071). */
#define RZ_OP_ROPE 8u
#define RZ_ROPE_ADJACENT 0u
#define RZ_ROPE_HALVES 1u
typedef struct rz_attr_rope {
    uint32_t struct_size;
    uint32_t flags;
    uint32_t pairing; /* RZ_ROPE_* */
    uint32_t rotated; /* even, <= D */
    float base;
    float scale;
    float extrapolation; /* 0..1 */
    float attention_factor;
    float beta_fast;
    float beta_slow;
    uint32_t original_context;
    uint32_t reserved;
} rz_attr_rope;

/* KV_WRITE(cache STATE [C, H, D] F32 | F16 | Q8_0 | Q4_0, rows [T, H, D], cells I32 [T]) -> the cache
 * Writes rows[t] to cell cells[t], rounded to the cache's type. A negative cell is skipped; one at
 * or above C is an error of the caller and is skipped too. Two rows must not name the same cell.
 * The output is the same tensor index as input 0.
 * A Q4_0 cache holds rotated rows, in which no element stands out (arXiv:2404.00456): each run of B
 * elements, 64 if that divides D and else 32, times the matrix (-1)^popcount(i & j) / sqrt(B)
 * (i, j < B), which is its own inverse. A block's scale is its element of largest magnitude / -8. */
#define RZ_OP_KV_WRITE 9u

/* ATTENTION(q [T, Hq, Dk], k STATE [C, Hk, Dk], v STATE [C, Hk, Dv], positions I32 [T],
 *           sequences I32 [T], pages I32 [S, P], lengths I32 [S], sinks [Hq] optional)
 *   -> [T, Hq, Dv]
 * Query t of sequence s = sequences[t] sees key position p when 0 <= p < lengths[s]; if causal,
 * p <= positions[t]; if window > 0, positions[t] - p < window; and if its page is mapped. Key p of
 * sequence s lies in cell pages[s][p / page_size] * page_size + p % page_size; a negative page is
 * not mapped. Query head h uses key head h / (Hq / Hk).
 *   score = scale * dot(q, k);  if softcap > 0: score = softcap * tanh(score / softcap)
 *   score += slope_h * (p - positions[t])       where alibi_max_bias > 0 (Press et al.,
 *            arXiv:2108.12409): with n the largest power of two <= Hq,
 *            slope_h = 2^(-alibi_max_bias * (h+1) / n) for h < n,
 *            else 2^(-alibi_max_bias / 2 * (2(h-n)+1) / n)
 *   out = sum softmax(score) * v; with sinks the softmax has one more term, exp(sinks[h]), whose
 *         value is zero.
 * A query with a negative sequence, or one that sees no key, gives zeros. `kv_symbol` names a symbol
 * whose submitted value bounds all lengths of that submission (RZ_NONE: bounded by P * page_size).
 * K and V caches may be F32, F16, Q8_0 or Q4_0, independently; rows of Q4_0 count as rotated back (to
 * rotate the query and the result instead comes to the same). A plugin may round the query, rotated or
 * not, as the type of the keys asks (to F16; to 8 bits per 32 elements for Q8_0 and Q4_0), and softmax
 * weights to F16 where the values are narrower than F32. */
#define RZ_OP_ATTENTION 10u
typedef struct rz_attr_attention {
    uint32_t struct_size;
    uint32_t flags;
    float scale;
    float softcap;
    float alibi_max_bias;
    uint32_t causal; /* 0 or 1 */
    uint32_t window;
    uint32_t page_size; /* cells */
    uint32_t kv_symbol;
    uint32_t reserved;
} rz_attr_attention;

/* UNARY(x) -> like x, by kind. GELU: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))); GELU_ERF:
 * 0.5 x (1 + erf(x / sqrt 2)); GELU_QUICK: x sigmoid(1.702 x); SILU: x sigmoid(x);
 * RELU_SQUARED: max(x, 0)^2. */
#define RZ_OP_UNARY 11u
/* GLU(gate, up) -> like gate:  kind(gate) * up  (SwiGLU = SILU, GeGLU = GELU; arXiv:2002.05202) */
#define RZ_OP_GLU 12u
#define RZ_UNARY_SILU 1u
#define RZ_UNARY_GELU 2u
#define RZ_UNARY_GELU_ERF 3u
#define RZ_UNARY_GELU_QUICK 4u
#define RZ_UNARY_RELU 5u
#define RZ_UNARY_RELU_SQUARED 6u
#define RZ_UNARY_SIGMOID 7u
#define RZ_UNARY_TANH 8u
typedef struct rz_attr_unary {
    uint32_t struct_size;
    uint32_t flags;
    uint32_t kind; /* RZ_UNARY_* */
    uint32_t reserved;
} rz_attr_unary;

/* SOFTMAX(x [..., D]) -> like x: over the innermost dimension of scale * x (attribute rz_attr_scale
 * with bias 0). A row whose entries are all -Inf gives zeros. */
#define RZ_OP_SOFTMAX 13u

/* ARGMAX(x [T, D]) -> I32 [T]: index of the largest element, the lowest index on a tie; NaN counts
 * as -Inf (a row of only NaN gives 0).
 * TOP_K(x [T, D]) -> values [T, k], indices I32 [T, k]: the k largest in falling order, ties by
 * rising index, NaN last. 1 <= k <= D. */
#define RZ_OP_ARGMAX 14u
#define RZ_OP_TOP_K 15u
typedef struct rz_attr_top_k {
    uint32_t struct_size;
    uint32_t flags;
    uint32_t k;
    uint32_t reserved;
} rz_attr_top_k;

/* COPY(x F32 | F16 | BF16) -> the same shape, contiguous. The result's type is that of the node's
 * output tensor, F32 | F16 | BF16 (round to nearest even). */
#define RZ_OP_COPY 16u

/* CLAMP(x) -> like x:  y = min(max(x, low), high). Both finite, low <= high. */
#define RZ_OP_CLAMP 17u
typedef struct rz_attr_clamp {
    uint32_t struct_size;
    uint32_t flags;
    float low;
    float high;
} rz_attr_clamp;

/* CONCAT(a [..., A], b [..., B]) -> [..., A + B]: a, then b, in the innermost dimension. The ranks
 * agree and are at least 2, so do the outer dimensions; but dimensions of b between the outermost
 * and the innermost may be 1, and b then repeats along them. */
#define RZ_OP_CONCAT 18u

/* ROUTE(logits [T, E], bias [E] optional) -> weights [T, k], experts I32 [T, k]
 * Which experts a token takes, and how much of each (Shazeer et al., arXiv:1701.06538).
 *   p = softmax(logits) over E, or sigmoid(logits) element by element, by `gating`
 *   s = p + bias: what choices go by
 *   where groups > 1 (a divisor of E): experts in runs of E / groups are a group, whose score is the
 *   sum of its `group_top` largest s; only experts of the `groups_used` best groups can be chosen
 *   experts: the k with the largest s, falling; weights = scale * p of these, divided by their sum
 *   if `normalise` is 1 (DeepSeek-V3: arXiv:2412.19437). Ties go to the lower index.
 * 1 <= k <= groups_used * (E / groups). With NaN among logits or bias the weights may be anything;
 * the experts are still k different ones of 0..E-1. */
#define RZ_OP_ROUTE 19u
#define RZ_GATING_SOFTMAX 1u
#define RZ_GATING_SIGMOID 2u
typedef struct rz_attr_route {
    uint32_t struct_size;
    uint32_t flags;
    uint32_t gating; /* RZ_GATING_* */
    uint32_t k;
    uint32_t groups;      /* 1: no groups */
    uint32_t groups_used; /* 1..groups */
    uint32_t group_top;   /* 1..E / groups */
    uint32_t normalise;   /* 0 or 1 */
    float scale;
    uint32_t reserved;
} rz_attr_route;

/* EXPERT_MATMUL(w [E, N, K] any dtype, x [T, J, K] or [T, 1, K], experts I32 [T, J] optional,
 *               bias [E, N] optional) -> [T, J, N]
 * y[t, j] = x[t, j] * transpose(w[e]) + bias[e] with e = experts[t, j]; without `experts` e = j and
 * J = E. An x with one row per token serves all j. An expert outside 0..E-1 gives a row of zeros.
 * Only weights of experts that are named need be read. x may be rounded as in MATMUL. */
#define RZ_OP_EXPERT_MATMUL 20u

/* WEIGHTED_SUM(x [T, J, N], weights [T, J]) -> [T, N]:  y[t] = sum over j of weights[t, j] x[t, j] */
#define RZ_OP_WEIGHTED_SUM 21u

/* Recurrent layers keep a STATE per sequence, whose first dimension is the sequence. Row t continues
 * sequence s = sequences[t]; position 0 begins it, whatever the state held before. The rows of one
 * sequence stand in the order of their positions and take effect one after the other. A sequence
 * outside 0..S-1 gives zeros and touches no state. The first output is the same tensor index as
 * input 0.
 *
 * SSM_CONV(state STATE [S, C-1, D] F32, x [T, D], weight [D, C], positions I32 [T],
 *          sequences I32 [T], bias [D] optional) -> the state, y [T, D]
 * Causal convolution of each column with its own weights: y[t, d] = bias[d] + sum over i < C of
 * weight[d, i] * u[C-1-i, d], where u[n] is the row of x that stands n rows earlier in the sequence,
 * zeros before its beginning. The state keeps the last C-1 rows, the newest last. C >= 2. */
#define RZ_OP_SSM_CONV 22u

/* SSM_SCAN(state STATE [S, H, P, N] F32, x [T, H, P], dt [T, H], a [H, N] or [H, 1], b [T, G, N],
 *          c [T, G, N], positions I32 [T], sequences I32 [T], d [H] optional)
 *   -> the state, y [T, H, P]
 * Selective state space (Mamba: arXiv:2312.00752, with H the channels and P = 1; Mamba-2:
 * arXiv:2405.21060, with one a per head). H is a multiple of G; head h uses row g = h / (H / G) of b
 * and c. For each row, with delta = ln(1 + exp(dt[t, h])):
 *   state[s, h, p, n] = exp(delta a[h, n]) state[s, h, p, n] + delta b[t, g, n] x[t, h, p]
 *   y[t, h, p] = sum over n of state[s, h, p, n] c[t, g, n] + d[h] x[t, h, p] */
#define RZ_OP_SSM_SCAN 23u

/* SAMPLE(logits [T, K], tokens I32 [T, K], draws [T, 5]) -> I32 [T]
 * Chooses one of tokens[t] by logits[t], which fall from left to right as TOP_K gives them. A row of
 * draws is {temperature, top_k, top_p, min_p, uniform}, with 0 <= uniform < 1 and a whole top_k.
 *   kept: entries above -Inf (NaN counts as -Inf, +Inf as the largest number); of these the first
 *   top_k where top_k > 0; with p = softmax(logits) over what is left: where top_p < 1 the shortest
 *   beginning whose sum of p reaches top_p, and of it the entries with p[i] >= min_p * p[0]
 *   temperature <= 0: tokens[t][0]
 *   else, with w = exp((logits - logits[0]) / temperature): of the kept entries by rising token the
 *   first with which the sum of w exceeds uniform * (sum of w of all kept)
 * Where nothing is kept: tokens[t][0]. Where logits do not fall: any of tokens[t]. 1 <= K <= 1024.
 * Where top_p, min_p or uniform is closer to a border between two entries than the rounding of sums
 * in F32, the result may be that of the other side. */
#define RZ_OP_SAMPLE 24u

#define RZ_OP_COUNT 25u /* one above the highest op id of this header */

/* ---------------------------------------------------------------------------------------------
 * 6. Host services, handed to driver.create. All [any-thread]; the struct outlives the driver.
 * ------------------------------------------------------------------------------------------- */
#define RZ_LOG_DEBUG 0u
#define RZ_LOG_INFO 1u
#define RZ_LOG_WARNING 2u
#define RZ_LOG_ERROR 3u

typedef void (*rz_range_fn)(void *context, uint64_t begin, uint64_t end);

typedef struct rz_host {
    uint32_t struct_size;
    uint32_t flags;
    void *self; /* pass back as the first argument */
    void (*log)(void *self, uint32_t level, const char *message);
    /* Aligned memory that the core counts; align is a power of two. NULL when there is none left. */
    void *(*alloc)(void *self, uint64_t size, uint64_t align);
    void (*free)(void *self, void *memory);
    /* Runs fn over [0, n) in pieces of about `grain`, possibly on several threads; returns when all
     * have ended. fn must not throw and not call parallel_for. */
    void (*parallel_for)(void *self, uint64_t n, uint64_t grain, rz_range_fn fn, void *context);
    /* How many threads compute on this host may keep busy (>= 1). */
    uint32_t (*thread_budget)(void *self);
    /* A persistent store of small blobs (compiled pipelines). get copies at most *size bytes and
     * sets *size to the blob's size; it returns RZ_UNAVAILABLE when there is none, RZ_BUSY when
     * *size was too small. The plugin must put its own version and the device into the key, and
     * check what it gets: the file may be damaged. */
    rz_code (*cache_get)(void *self, const char *key, void *data, uint64_t *size);
    rz_code (*cache_put)(void *self, const char *key, const void *data, uint64_t size);
    /* Non-zero when the core wants long work (load, compile) to stop with RZ_CANCELLED. */
    uint32_t (*cancelled)(void *self);
    /* A named table, "name/revision"; NULL when unknown. */
    const void *(*get_extension)(void *self, const char *id);
} rz_host;

/* ---------------------------------------------------------------------------------------------
 * 7. Objects
 * ------------------------------------------------------------------------------------------- */
typedef struct rz_driver rz_driver;
typedef struct rz_device rz_device;
typedef struct rz_buffer rz_buffer;
typedef struct rz_weights rz_weights;
typedef struct rz_program rz_program;
typedef struct rz_instance rz_instance;
typedef struct rz_queue rz_queue;
typedef struct rz_timeline rz_timeline;

#define RZ_DEVICE_CPU 1u
#define RZ_DEVICE_GPU 2u /* own memory */
#define RZ_DEVICE_INTEGRATED_GPU 3u
#define RZ_DEVICE_ACCELERATOR 4u

#define RZ_CAP_ASYNC (1ull << 0)       /* submit returns before the work is done */
#define RZ_CAP_HOST_MEMORY (1ull << 1) /* buffers are plain host memory (map always works) */
#define RZ_CAP_STEPS (1ull << 2)       /* rz_submit.steps may be above 1 */

typedef struct rz_device_info {
    uint32_t struct_size;
    uint32_t flags;
    uint32_t kind; /* RZ_DEVICE_* */
    uint32_t reserved;
    uint64_t caps;           /* RZ_CAP_* */
    uint64_t memory_total;   /* 0: unknown */
    uint64_t memory_free;    /* at enumeration; 0: unknown */
    uint64_t max_allocation; /* largest single buffer; 0: no limit known */
    uint64_t alignment;      /* that bound buffer offsets must have */
    uint8_t uuid[16];        /* the same for one physical device in all plugins; zeros: unknown */
    char id[64];             /* short and stable on this machine, e.g. "0", "gpu1" */
    char name[128];          /* e.g. the product name */
    char driver[128];        /* driver and its version */
    char isa[64];            /* instruction set or architecture in use */
} rz_device_info;

/* [main-serial]. Opens system libraries (libvulkan, libOpenCL, ...) itself with dlopen. */
typedef struct rz_driver_api {
    uint32_t struct_size;
    uint32_t flags;
    /* RZ_UNAVAILABLE where the system lacks the driver; `err` then says what to install. */
    rz_code (*create)(const rz_host *host, rz_driver **out, rz_error *err);
    void (*destroy)(rz_driver *driver);
    /* Fills at most *count infos (`stride` bytes apart, struct_size set by the caller; NULL to ask
     * only) and sets *count to the number of devices. */
    rz_code (*enumerate)(rz_driver *driver, rz_device_info *infos, uint32_t stride, uint32_t *count,
                         rz_error *err);
    rz_code (*open)(rz_driver *driver, uint32_t index, rz_device **out, rz_error *err);
} rz_driver_api;

/* One row of the static capability table: what the device computes of one op. `dtypes` are those of
 * the op's typed operand (the weight of the MATMULs and GET_ROWS, the cache of KV_WRITE and ATTENTION,
 * else the first input). classify is the authority and must agree: whatever a row claims must run
 * for every shape and stride that the contract allows. */
typedef struct rz_capability {
    uint32_t struct_size;
    uint32_t flags;
    uint32_t op;
    uint32_t version;
    uint64_t dtypes; /* RZ_DTYPE_BIT mask */
} rz_capability;

#define RZ_NODE_NO 0u
#define RZ_NODE_YES 1u

/* Monotone since device open. A plugin without such a notion leaves a counter 0. */
typedef struct rz_counters {
    uint32_t struct_size;
    uint32_t flags;
    uint64_t submissions;   /* queue.submit calls that ran */
    uint64_t dispatches;    /* kernels started; on a CPU parallel phases */
    uint64_t barriers;      /* on a CPU joins */
    uint64_t allocations;   /* of host or device memory by this plugin for this device */
    uint64_t bytes_written; /* host to device */
    uint64_t bytes_read;    /* device to host */
    uint64_t memory_used;   /* bytes allocated now (not monotone) */
    uint64_t memory_peak;
} rz_counters;

typedef struct rz_device_api {
    uint32_t struct_size;
    uint32_t flags;
    void (*close)(rz_device *device); /* [object-serial] */
    /* [any-thread] Two-call, as enumerate. */
    rz_code (*capabilities)(rz_device *device, rz_capability *rows, uint32_t stride,
                            uint32_t *count, rz_error *err);
    /* [any-thread] states[i] = RZ_NODE_* for each node of the graph. An ill-formed graph is
     * RZ_INVALID_ARGUMENT; an op, type or shape that the device lacks is RZ_NODE_NO. */
    rz_code (*classify)(rz_device *device, const rz_graph *graph, uint8_t *states, rz_error *err);
    rz_code (*counters)(rz_device *device, rz_counters *out, rz_error *err); /* [any-thread] */
} rz_device_api;

/* Plain memory: states, bound inputs and outputs. New buffers hold zeros.
 * [any-thread], but the caller orders accesses to the same bytes, also against submissions. */
typedef struct rz_buffer_api {
    uint32_t struct_size;
    uint32_t flags;
    rz_code (*create)(rz_device *device, uint64_t size, rz_buffer **out, rz_error *err);
    void (*destroy)(rz_buffer *buffer);
    /* Host address of the buffer for its whole life, or NULL if the host cannot see it. */
    void *(*map)(rz_buffer *buffer);
    /* Blocking. A range outside the buffer is RZ_INVALID_ARGUMENT and touches nothing. */
    rz_code (*write)(rz_buffer *buffer, uint64_t offset, const void *data, uint64_t size,
                     rz_error *err);
    rz_code (*read)(rz_buffer *buffer, uint64_t offset, void *data, uint64_t size, rz_error *err);
    rz_code (*copy)(rz_buffer *to, uint64_t to_offset, rz_buffer *from, uint64_t from_offset,
                    uint64_t size, rz_error *err);
} rz_buffer_api;

/* What a weight set will take. `resident` counts new memory on the device (packed copies included),
 * `aliased` the bytes of the source that the plugin will go on reading in place. */
typedef struct rz_weights_plan {
    uint32_t struct_size;
    uint32_t flags;
    uint64_t resident;
    uint64_t aliased;
    uint64_t scratch; /* temporary memory while loading */
} rz_weights_plan;

/* The source bytes stay mapped and unchanged until weights.destroy: the plugin may use them in
 * place instead of copying. */
#define RZ_LOAD_STABLE (1u << 16)

/* The weights of a model on one device, in whatever layout the plugin wants. It sees the whole
 * graph first, so it may concatenate, interleave or permute (QKV, gate and up, RoPE pairs). */
typedef struct rz_weights_api {
    uint32_t struct_size;
    uint32_t flags;
    /* [any-thread] Computes the memory for all WEIGHT tensors of the graph. */
    rz_code (*plan)(rz_device *device, const rz_graph *graph, rz_weights_plan *out, rz_error *err);
    /* [any-thread] RZ_OUT_OF_MEMORY if more than `budget` bytes would become resident (0: no
     * limit). Keeps what it needs of the graph. */
    rz_code (*create)(rz_device *device, const rz_graph *graph, uint64_t budget, rz_weights **out,
                      rz_error *err);
    void (*destroy)(rz_weights *weights);
    /* [object-serial] Rows [row_begin, row_begin + row_count) of the weight with this key, in the
     * canonical layout of its dtype; a row is one step of the innermost dimension but one, so a
     * weight of rank r has dims[0]*...*dims[r-2] rows (rank 1: one row). Each row comes exactly
     * once, rising within a weight. load_flags: RZ_LOAD_*. `data` has `size` bytes and the alignment
     * of the dtype's scalar at least. */
    rz_code (*load)(rz_weights *weights, uint64_t key, uint64_t row_begin, uint64_t row_count,
                    const void *data, uint64_t size, uint32_t load_flags, rz_error *err);
    /* [object-serial] Ends loading: RZ_INVALID_ARGUMENT naming the weight if rows are missing. */
    rz_code (*finish)(rz_weights *weights, rz_error *err);
} rz_weights_api;

#define RZ_COMPILE_NO_FUSE (1u << 16) /* each node on its own: for tests and placement */

typedef struct rz_compile_options {
    uint32_t struct_size;
    uint32_t flags;         /* RZ_COMPILE_* */
    uint64_t memory_budget; /* for this program's scratch; 0: no limit */
} rz_compile_options;

typedef struct rz_program_info {
    uint32_t struct_size;
    uint32_t flags;
    uint64_t scratch_bytes; /* per instance */
    uint32_t dispatches;    /* per submission at the symbols' hints */
    uint32_t fused_nodes;   /* nodes that have no dispatch of their own */
} rz_program_info;

/* A compiled region. Immutable; [any-thread]. Holds a reference to nothing of the caller but
 * `weights`, which must outlive it (NULL if the graph has no WEIGHT). */
typedef struct rz_program_api {
    uint32_t struct_size;
    uint32_t flags;
    rz_code (*compile)(rz_device *device, const rz_graph *graph, rz_weights *weights,
                       const rz_compile_options *options, rz_program **out, rz_error *err);
    rz_code (*info)(rz_program *program, rz_program_info *out, rz_error *err);
    void (*destroy)(rz_program *program);
} rz_program_api;

/* Gives tensor `tensor` (an INPUT, a STATE or an output of the region, never a view) the bytes of
 * `buffer` from `offset` on. For a symbolic tensor the buffer holds its largest size. */
typedef struct rz_binding {
    uint32_t struct_size;
    uint32_t flags;
    uint32_t tensor;
    uint32_t reserved;
    rz_buffer *buffer;
    uint64_t offset;
} rz_binding;

/* A program with memory: scratch, bindings, perhaps recorded commands. Every STATE must be bound;
 * an INPUT or output that is not bound lives inside the instance and is reached by rz_update and
 * rz_read. */
typedef struct rz_instance_api {
    uint32_t struct_size;
    uint32_t flags;
    rz_code (*create)(rz_program *program, rz_instance **out, rz_error *err); /* [any-thread] */
    /* [object-serial] Replaces earlier bindings of the same tensors; no submission may run. */
    rz_code (*bind)(rz_instance *instance, const rz_binding *bindings, uint32_t stride,
                    uint32_t count, rz_error *err);
    void (*destroy)(rz_instance *instance); /* no submission may run */
} rz_instance_api;

/* Bytes for an INPUT, copied before submit returns. */
typedef struct rz_update {
    uint32_t struct_size;
    uint32_t flags;
    uint32_t tensor;
    uint32_t step; /* below rz_submit.steps */
    uint64_t offset;
    uint64_t size;
    const void *data;
} rz_update;

/* Bytes of an output, written to `data` before the submission's signals fire. */
typedef struct rz_read {
    uint32_t struct_size;
    uint32_t flags;
    uint32_t tensor;
    uint32_t step; /* below rz_submit.steps: the output as this step leaves it */
    uint64_t offset;
    uint64_t size;
    void *data;
} rz_read;

typedef struct rz_point {
    rz_timeline *timeline;
    uint64_t value;
} rz_point;

/* From one step of a submission to the next: the INPUT `to` holds what the output `from` held after
 * the step before. Both have one type and, at the submitted symbols, the same bytes; neither is bound,
 * and no two chains name one `to`. */
typedef struct rz_chain {
    uint32_t struct_size;
    uint32_t flags;
    uint32_t from;
    uint32_t to;
} rz_chain;

/* `steps` above 1 runs the instance that often in a row, as that many submissions without a look at
 * their results between them. Every INPUT that is not bound is given for each step anew, whole: by one
 * update of that step or, after the first step, by a chain; afterwards it may hold anything. Symbols,
 * waits and signals are those of all steps together. RZ_UNSUPPORTED without RZ_CAP_STEPS. */
#define RZ_MAX_STEPS 64u
typedef struct rz_submit {
    uint32_t struct_size;
    uint32_t flags;
    rz_instance *instance;
    const int64_t *symbols; /* one value per symbol of the graph */
    const rz_update *updates;
    const rz_read *reads;
    const rz_point *waits;   /* the work starts when all have been reached */
    const rz_point *signals; /* reached when the work and its reads are done, or failed */
    uint32_t symbol_count;
    uint32_t update_count;
    uint32_t read_count;
    uint32_t wait_count;
    uint32_t signal_count;
    uint32_t update_stride;
    uint32_t read_stride;
    uint32_t steps; /* 0 is 1 */
    const rz_chain *chains;
    uint32_t chain_count;
    uint32_t chain_stride;
} rz_submit;

/* In order: a submission sees all effects of earlier ones on the same queue. */
typedef struct rz_queue_api {
    uint32_t struct_size;
    uint32_t flags;
    rz_code (*create)(rz_device *device, rz_queue **out, rz_error *err); /* [any-thread] */
    /* [object-serial] Checks everything before it starts: symbol values out of bounds, unbound
     * states, ranges outside a tensor (at its size under the submitted symbols) are
     * RZ_INVALID_ARGUMENT and nothing has happened. A failure
     * after that is delivered through the signals (rz_timeline). One submission of an instance runs
     * at a time; the queue keeps that order. Keeps no pointer of the struct but `reads.data`, the
     * instance and the timelines. */
    rz_code (*submit)(rz_queue *queue, const rz_submit *submit, rz_error *err);
    void (*destroy)(rz_queue *queue); /* waits for its submissions */
} rz_queue_api;

/* A rising counter. Once a submission that signals it has failed, the timeline is failed: every wait
 * returns that submission's code and message, and work that waits on it fails the same way.
 * [any-thread] */
typedef struct rz_timeline_api {
    uint32_t struct_size;
    uint32_t flags;
    rz_code (*create)(rz_device *device, uint64_t initial, rz_timeline **out, rz_error *err);
    /* The value reached so far, also on a failed timeline. */
    rz_code (*query)(rz_timeline *timeline, uint64_t *value, rz_error *err);
    /* RZ_TIMEOUT after timeout_ns; 0 asks without waiting, UINT64_MAX waits for ever. */
    rz_code (*wait)(rz_timeline *timeline, uint64_t value, uint64_t timeout_ns, rz_error *err);
    /* From the host. A value at or below the present one is RZ_INVALID_ARGUMENT. */
    rz_code (*signal)(rz_timeline *timeline, uint64_t value, rz_error *err);
    void (*destroy)(rz_timeline *timeline); /* nothing may wait on it */
} rz_timeline_api;

/* ---------------------------------------------------------------------------------------------
 * 8. The plugin
 * ------------------------------------------------------------------------------------------- */
typedef struct rz_hello {
    uint32_t struct_size;
    uint32_t flags;
    uint32_t abi_major;
    uint32_t abi_minor;
    uint64_t abi_hash;
    uint32_t sanitizer;
    uint32_t reserved;
} rz_hello;

typedef struct rz_plugin {
    uint32_t struct_size;
    uint32_t flags;
    uint32_t abi_major;
    uint32_t abi_minor;
    uint64_t abi_hash;
    const char *id;      /* [a-z0-9_]{1,32}; what users pass to --backend */
    const char *version; /* of the plugin, semantic versioning */
    const char *vendor;
    const char *build;   /* compiler, commit, ...; free text */
    const char *license; /* SPDX expression */
    const rz_driver_api *driver;
    const rz_device_api *device;
    const rz_buffer_api *buffer;
    const rz_weights_api *weights;
    const rz_program_api *program;
    const rz_instance_api *instance;
    const rz_queue_api *queue;
    const rz_timeline_api *timeline;
    /* A named table, "name/revision"; NULL when unknown. [any-thread] */
    const void *(*get_extension)(const char *id);
} rz_plugin;

/* The one export. Pure and repeatable: no driver call, no thread, no state, nothing but a look at
 * `hello` and a pointer to a static const table. RZ_VERSION_MISMATCH when the plugin cannot serve
 * this host, which includes a hello shorter than 0.1's. [any-thread] */
RZ_EXPORT rz_code rz_plugin_entry_v1(const rz_hello *hello, const rz_plugin **out, rz_error *err);
typedef rz_code (*rz_plugin_entry_fn)(const rz_hello *hello, const rz_plugin **out, rz_error *err);

/* Plugin extension "rz.compute_pool/1": the CPU backend lends its thread pool to the core. */
#define RZ_EXT_COMPUTE_POOL "rz.compute_pool/1"
typedef struct rz_ext_compute_pool {
    uint32_t struct_size;
    uint32_t flags;
    void (*parallel_for)(rz_driver *driver, uint64_t n, uint64_t grain, rz_range_fn fn,
                         void *context);
} rz_ext_compute_pool;

/* Host extension "rz.decode/1": the core lends its decoders of all element types, so that a backend
 * can compute with a type that it has no kernel for. */
#define RZ_EXT_DECODE "rz.decode/1"
typedef struct rz_ext_decode {
    uint32_t struct_size;
    uint32_t flags;
    /* `elements` (whole blocks) to F32. RZ_UNSUPPORTED for an unknown type. [any-thread] */
    rz_code (*decode)(rz_dtype dtype, const void *blocks, float *out, uint64_t elements);
} rz_ext_decode;

#ifdef __cplusplus
}
#endif
#endif /* REALIZAR_BACKEND_H */
