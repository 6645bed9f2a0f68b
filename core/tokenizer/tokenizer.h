// Text to tokens and back.
//
// A Tokenizer is immutable and thread-safe after load. Kinds: SentencePiece BPE with byte fallback
// ("llama" in GGUF) and byte-level BPE ("gpt2" in GGUF) with a pre-tokenizer pattern.
#pragma once

#include "core/common/result.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace realizar {

class GgufFile;

using Token = int32_t;

// As in tokenizer.ggml.token_type.
enum class TokenType : int32_t {
    undefined = 0, normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6,
};

// What a tokenizer is made of, independent of the file that it came from.
struct Vocabulary {
    std::string model; // "llama", "gpt2"
    std::string pre;   // pre-tokenizer name, "gpt2" kind only; empty: default
    std::vector<std::string> tokens;
    std::vector<float> scores;     // "llama": one per token
    std::vector<TokenType> types;  // one per token, or empty
    std::vector<std::string> merges; // "gpt2": "left right" by rank
    std::optional<Token> bos, eos, eot, unk, pad;
    bool add_bos = false, add_eos = false;
    bool add_space_prefix = true; // "llama"
    std::string chat_template;
};

// Reads and checks tokenizer.ggml.*; errors have the tags of docs/formats/gguf.md.
Result<Vocabulary> vocabulary_from_gguf(const GgufFile &file);

struct EncodeOptions {
    bool add_special = true;   // BOS and EOS by the vocabulary's rules
    bool parse_special = true; // control and user-defined tokens in the text become one token
};

class Tokenizer {
  public:
    static Result<std::shared_ptr<const Tokenizer>> create(Vocabulary vocabulary);
    virtual ~Tokenizer() = default;

    // Any bytes are valid input (bad UTF-8 goes through byte tokens).
    virtual Result<std::vector<Token>> encode(std::string_view text, const EncodeOptions &options) const = 0;
    // Bytes of one token, perhaps part of a UTF-8 character. Control tokens give their text only if
    // `special` is set. An id outside the vocabulary gives an empty string.
    virtual std::string piece(Token token, bool special = false) const = 0;
    // The text of a sequence; the space that the tokenizer adds at the start is taken off.
    virtual std::string decode(std::span<const Token> tokens, bool special = false) const = 0;

    const Vocabulary &vocabulary() const { return vocabulary_; }
    bool is_end(Token token) const; // EOS, EOT and the other end-of-generation tokens

  protected:
    explicit Tokenizer(Vocabulary vocabulary);
    Vocabulary vocabulary_;
    std::vector<Token> end_tokens_;
};

// Turns tokens into text piece by piece and never emits half a UTF-8 character: bytes are held back
// until the character is whole. Bytes that can never become one come out as U+FFFD.
class StreamDecoder {
  public:
    // `prior` (for example the prompt) decides whether the first piece loses its leading space.
    explicit StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool at_start = false);
    std::string push(Token token); // what can be shown now; perhaps empty
    std::string finish();          // the rest

  private:
    std::shared_ptr<const Tokenizer> tokenizer_;
    std::string held_;
    bool at_start_;
};

} // namespace realizar
