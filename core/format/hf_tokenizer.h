// The tokenizer of a Hugging Face model folder (SentencePiece kind) as GGUF metadata.
#pragma once

#include "core/format/gguf.h"

namespace realizar {

// Reads tokenizer.model and, where present, tokenizer_config.json (added tokens, chat template,
// whether BOS and EOS are added) and chat_template.jinja; sets tokenizer.*. The token list is filled
// up to `vocabulary` entries, the rows of the embedding, with unused ones.
//
// Tags: those of parse_sentencepiece_model and parse_json, no_tokenizer, unsupported_tokenizer,
// shape_mismatch (more tokens than rows), bad_tokenizer_config.
Status set_hf_tokenizer(const std::filesystem::path &folder, uint32_t vocabulary,
                        GgufWriter &writer);

} // namespace realizar
