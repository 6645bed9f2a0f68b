// ATTENTION: operands that its forms share, and the form of decoding.
#pragma once

#include "plugins/vulkan/plan/planner.h"

#include <optional>

namespace realizar::vulkan {

struct AttentionOperands {
    View q, k, v, positions, sequences, pages, lengths, y, parts, table;
    View counters; // a zero for each token and head
    std::optional<View> sinks, slopes;
    rz_attr_attention attr;

    uint32_t tokens(Symbols symbols) const { return q.size(1, symbols); }
    uint64_t keys(Symbols symbols) const; // of a sequence in this submission, at most
    uint32_t splits(Symbols symbols) const;
    // Whether rows of keys and values can be read 16 bytes at a time, and q 8.
    bool is_wide(const Recorder &r) const;
};

// shaders/attention_decode.comp: up to kAttentionSplitTokens tokens, F16 rows of one width up to 256.
bool runs_attention_decode(const Recorder &r, const AttentionOperands &o);
void record_attention_decode(Recorder &r, const AttentionOperands &o);
// Parts of all tokens together that record_attention_decode makes at most.
uint64_t decode_parts();

} // namespace realizar::vulkan
