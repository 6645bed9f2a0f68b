// Regions of many nodes for level 3.
#pragma once

#include "tools/ctk/level2.h"

namespace realizar::ctk {

// A random graph of claimed operators, with about `nodes` nodes. The same arguments give the same
// graph.
Result<Region> random_region(const Offer &offer, size_t nodes, Random &random);

// A decoder in the style of Llama with two layers: embedding, norms, RoPE, KV cache, attention,
// gated feed-forward, head, ARGMAX and TOP_K, and a few steps of two sequences.
struct DecoderTypes {
    DType weights = DType::F32;
    DType keys = DType::F32, values = DType::F32;
};
// Does the offer claim all operators of the decoder with these types?
bool can_decode(const Offer &offer, const DecoderTypes &types);
Result<Region> decoder_region(const DecoderTypes &types, Random &random);

} // namespace realizar::ctk
