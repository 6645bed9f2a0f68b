// ATTENTION: operands that its forms share, and the form of decoding.
#pragma once

#include "plugins/opencl/ops/op.h"

#include <array>

namespace realizar::opencl {

struct AttentionOperands {
    View q, k, v, positions, sequences, pages, lengths, y, parts;
    // Of forms that do not rotate queries and results themselves where keys and values are (Q4_0).
    std::optional<View> rotated_q, rotated_y;
    View counters; // a zero for each token and head, where workgroups join parts themselves
    std::optional<View> sinks, slopes;
    rz_attr_attention attr;

    uint32_t tokens(Symbols symbols) const { return q.size(1, symbols); }
    // Keys of a sequence in this submission, at most.
    uint64_t keys(Symbols symbols) const;
    // For `splits` parts; results go to y.
    AttentionParams params(const Recorder &r, uint32_t splits) const;
    // Buffers up to the slopes, in the order of the kernels.
    std::array<cl_mem, 9> buffers(const Recorder &r) const;
    // Whether rows of this cache are F16 that can be read 16 bytes at a time.
    static bool is_wide(const Recorder &r, const View &cache);
    bool is_wide(const Recorder &r) const { return is_wide(r, k) && is_wide(r, v); }
};

constexpr uint32_t kSplitTokens = 8; // more tokens have work enough

// Joins `splits` parts of all tokens and heads.
void launch_combine(Recorder &r, const AttentionOperands &o, uint32_t splits);

// kernels/attention_decode.cl: up to kSplitTokens tokens, rows of one width up to 256, in F16, Q8_0 or Q4_0.
bool runs_attention_decode(const Recorder &r, const AttentionOperands &o);
void launch_attention_decode(Recorder &r, const AttentionOperands &o);
constexpr uint32_t kDecodeSplits = 64; // at most
constexpr uint32_t kDecodeParts = 128; // of all tokens together, at most

// kernels/attention_mma.cl: more tokens, F16 rows of one width up to 128 in whole 16s.
bool runs_attention_mma(const Recorder &r, const AttentionOperands &o);
void launch_attention_mma(Recorder &r, const AttentionOperands &o);

} // namespace realizar::opencl
