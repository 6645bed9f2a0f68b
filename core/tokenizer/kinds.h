// The makers of each kind of tokenizer, for the table in tokenizer.cpp. The vocabulary has passed
// check_vocabulary, and its types have one entry per token.
#pragma once

#include "core/tokenizer/tokenizer.h"

namespace realizar {

Result<std::shared_ptr<const Tokenizer>> create_spm(Vocabulary vocabulary);
Result<std::shared_ptr<const Tokenizer>> create_bpe(Vocabulary vocabulary);
Result<std::shared_ptr<const Tokenizer>> create_wordpiece(Vocabulary vocabulary);
Result<std::shared_ptr<const Tokenizer>> create_unigram(Vocabulary vocabulary);

// The byte of a byte token's text "<0x0A>"; nothing if it is not one.
std::optional<uint8_t> byte_of_token(std::string_view text);

} // namespace realizar
