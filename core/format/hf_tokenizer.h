// The tokenizer of a Hugging Face model folder as GGUF metadata.
#pragma once

#include "core/format/gguf.h"
#include "core/format/hf_config.h"

namespace realizar {

// Reads tokenizer.model (SentencePiece BPE) or else tokenizer.json (byte-level BPE) and, where
// present, tokenizer_config.json (added tokens, chat template, special tokens, whether BOS and EOS are
// added) and chat_template.jinja; sets tokenizer.*. The token list is filled up to
// config.vocabulary entries, the rows of the embedding, with unused ones.
//
// Tags: those of parse_sentencepiece_model and parse_json, no_tokenizer, unsupported_tokenizer,
// unsupported_pretokenizer, shape_mismatch (more tokens than rows), bad_tokenizer_config,
// bad_tokenizer_json.
Status set_hf_tokenizer(const std::filesystem::path &folder, const HfConfig &config,
                        GgufWriter &writer);

} // namespace realizar
