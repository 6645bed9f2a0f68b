// Which kernel computes what: all choices that depend on sizes and on the device.
//
// To add a kernel: a row in CMakeLists.txt (shader), a value in the enum below, its condition in
// choose.cpp, and its dispatch in the op's step (ops/). A form must hold for every shape that its
// condition lets through; the plain forms take the rest.
#pragma once

#include "plugins/vulkan/plan/plane_type.h"
#include "plugins/vulkan/vk/instance.h"

namespace realizar::vulkan {

enum class MatmulForm {
    matvec,  // weights once through, up to kMatvecRows vectors; int8 vectors for quantised weights
    coopmat, // cooperative matrices: F16 products, F32 sums; quantised and F16 weights
    tile,    // shared-memory tiles, weights decoded to floats
};
constexpr uint32_t kMatvecRows = 8;

// dtype and k: of the matrix; rows: of x in this submission.
MatmulForm choose_matmul(const Features &features, rz_dtype dtype, uint32_t k, uint32_t rows);

// Whether matrices in planes take several rows of x as quantize.comp makes them.
inline bool makes_bytes(uint32_t rows) { return rows > 1 && rows <= kMatvecRows; }

// Whether matrices in planes take x [rows, k] as half_rows.comp makes it.
bool makes_half_rows(const Features &features, uint32_t k, uint32_t rows);

// Rows of w and of x in a workgroup of the cooperative form: 128, or 64 where that makes few workgroups.
uint32_t choose_coopmat_tile(uint32_t n, uint32_t rows);

// A kernel of the cooperative form for weights in F16 (half_weights.h), and what it makes in a workgroup.
struct HalfTile {
    const char *shader;
    uint32_t n, t; // rows of w and of x
    // Time of a slice of k: of a workgroup alone on a core, and of each of many.
    uint32_t alone, each;
    uint32_t unroll; // slices in the body of the loop, at most

    // What of a row of `stride` elements the body of the loop takes.
    uint32_t block(uint32_t stride) const;
};
// The one that is done first with n by rows results on so many cores.
const HalfTile &choose_half_tile(uint32_t cores, uint32_t n, uint32_t rows);

// Into how many parts ATTENTION cuts the keys. `keys` bounds the keys of this submission.
constexpr uint32_t kAttentionSplits = 16;     // at most
constexpr uint32_t kAttentionSplitTokens = 8; // more tokens have work enough
uint32_t choose_splits(uint32_t tokens, uint32_t heads, uint64_t keys);

// The same for the form of decoding, whose parts are shorter; `groups`: workgroups without parts.
constexpr uint32_t kDecodeSplits = 64; // at most
constexpr uint32_t kDecodeParts = 128; // of all tokens together, at most
uint32_t choose_decode_splits(uint32_t tokens, uint32_t groups, uint64_t keys,
                              const Tuning &tuning);

// The bucket of a number of keys: recordings are shared by all numbers of one bucket.
int64_t key_bucket(int64_t keys, int64_t most);

} // namespace realizar::vulkan
