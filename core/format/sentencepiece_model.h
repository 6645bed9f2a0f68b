// The vocabulary of a SentencePiece `tokenizer.model` file (message ModelProto of
// sentencepiece_model.proto).
#pragma once

#include "core/common/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace realizar {

struct SentencePieceModel {
    enum class Kind : int32_t { unigram = 1, bpe = 2, word = 3, character = 4 };
    // The values of `type` are those of GGUF's tokenizer.ggml.token_type.
    struct Piece {
        std::string text;
        float score = 0;
        int32_t type = 1;
    };
    Kind kind = Kind::unigram;
    std::vector<Piece> pieces;
    int32_t unk_id = 0, bos_id = 1, eos_id = 2, pad_id = -1; // -1: none
    bool add_dummy_prefix = true;
    bool remove_extra_whitespaces = true;
};

// Tags: bad_protobuf (with the byte offset), bad_vocab (no or too many pieces, a type out of range,
// a score that is not finite), bad_token_id.
Result<SentencePieceModel> parse_sentencepiece_model(std::span<const std::byte> bytes);

} // namespace realizar
