// Text to tokens and back.
//
// A Tokenizer is immutable and thread-safe after load. Kinds, by their names in GGUF: "llama" is
// SentencePiece BPE with byte fallback, "gpt2" byte-level BPE with a pre-tokenizer pattern, "t5"
// SentencePiece unigram, "bert" WordPiece. A kind is one row in tokenizer.cpp and one file.
#pragma once

#include "core/common/result.h"
#include "core/tokenizer/token.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace realizar {

class GgufFile;
class SpecialMatcher;

// As in tokenizer.ggml.token_type.
enum class TokenType : int32_t {
    undefined = 0,
    normal = 1,
    unknown = 2,
    control = 3,
    user_defined = 4,
    unused = 5,
    byte = 6,
};

// What a tokenizer is made of, independent of the file that it came from.
struct Vocabulary {
    std::string model; // "llama", "gpt2", "t5", "bert"
    std::string pre;   // pre-tokenizer name, "gpt2" kind only; empty: default
    std::vector<std::string> tokens;
    std::vector<float> scores;       // "llama", "t5": one per token
    std::vector<TokenType> types;    // one per token, or empty
    std::vector<std::string> merges; // "gpt2": "left right" by rank; a Tokenizer drops them
    std::optional<Token> bos, eos, eot, unk, pad;
    bool add_bos = false, add_eos = false;
    bool add_space_prefix = true;     // all but "gpt2"
    bool remove_extra_spaces = false; // "t5": one space for several, none at the ends
    std::string charsmap;             // "t5": see charsmap.h; a Tokenizer drops it
    std::string chat_template;
    std::optional<Token> eom; // ends a message that is followed by a tool's answer
};

// Reads and checks tokenizer.ggml.*; errors have the tags of docs/formats/gguf.md: wrong_type,
// missing_key, array_mismatch, bad_token_id, bad_vocab.
Result<Vocabulary> vocabulary_from_gguf(const GgufFile &file);

// What every kind demands of a vocabulary; vocabulary_from_gguf and Tokenizer::create call it.
Status check_vocabulary(const Vocabulary &vocabulary);

struct EncodeOptions {
    bool add_special = true; // BOS and EOS by the vocabulary's rules
    // Control tokens ("<|im_end|>") written in the text become one token; false for untrusted text.
    // User-defined tokens always do: they are part of the text, not of the protocol.
    bool parse_special = true;
};

class Tokenizer {
  public:
    // Texts longer than this are an error ("text_too_long").
    static constexpr size_t kMaxTextBytes = size_t{1} << 28;

    // Errors: bad_vocab and the other tags of vocabulary_from_gguf, unsupported_tokenizer,
    // unsupported_pretokenizer; the last two name the known ones.
    static Result<std::shared_ptr<const Tokenizer>> create(Vocabulary vocabulary);
    virtual ~Tokenizer();

    // Any bytes are valid input (bad UTF-8 goes through byte tokens). Time is O(n log n) in the
    // text. Errors: text_too_long; unencodable_text if a byte has no token and there is no unknown
    // token to stand for it.
    Result<std::vector<Token>> encode(std::string_view text,
                                      const EncodeOptions &options = {}) const;
    // Bytes of one token, perhaps part of a UTF-8 character. Control and unknown tokens give their
    // text only if `special` is set. An id outside the vocabulary gives an empty string.
    std::string piece(Token token, bool special = false) const;
    // The text of a sequence, without the space that encode() adds at its start and, in the "llama"
    // kind, after atomic tokens that show: decode(encode(x), true) == x. Where control tokens do
    // not show, their place keeps that space. (U+2581 becomes a space in the "llama" kind, as
    // encode() cannot tell the two apart. The "t5" and "bert" kinds normalise texts and have unknown
    // tokens, so that not every text comes back.)
    std::string decode(std::span<const Token> tokens, bool special = false) const;
    // One step of decode(): `at_start` holds, between calls, whether a space at the beginning of
    // the next token is one that encode() added. The view lives as long as the tokenizer.
    std::string_view next_piece(Token token, bool special, bool &at_start) const;

    const Vocabulary &vocabulary() const { return vocabulary_; }
    bool is_end(Token token) const; // EOS, EOT and the other end-of-generation tokens

  protected:
    // pieces: the bytes that each token stands for.
    Tokenizer(Vocabulary vocabulary, std::vector<std::string> pieces);
    // Appends the tokens of a text without atomic tokens. add_prefix: it is the first text or
    // follows an atomic token.
    virtual Status encode_text(std::string_view text, bool add_prefix,
                               std::vector<Token> &out) const = 0;

    Vocabulary vocabulary_; // types has one entry per token
    std::vector<std::string> pieces_;

  private:
    std::vector<Token> end_tokens_;
    std::unique_ptr<const SpecialMatcher> all_atomic_;   // control, unknown, user-defined
    std::unique_ptr<const SpecialMatcher> user_defined_; // these only
    bool takes_prefix_off_;
};

// Turns tokens into text piece by piece and never emits half a UTF-8 character: bytes are held back
// until the character is whole. Bytes that can never become one come out as U+FFFD, one for each
// maximal part of a character (Unicode 15, section 3.9).
class StreamDecoder {
  public:
    // at_start: the first token begins a text, so that the space that encode() adds is taken off;
    // false when it continues a prompt.
    explicit StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool at_start = false);
    std::string push(Token token); // what can be shown now; perhaps empty
    std::string finish();          // the rest

  private:
    std::shared_ptr<const Tokenizer> tokenizer_;
    std::string held_; // at most 3 bytes between calls
    bool at_start_;
};

} // namespace realizar
