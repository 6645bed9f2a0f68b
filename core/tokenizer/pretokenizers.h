// Cutting text into words before byte-pair merging: one row per tokenizer.ggml.pre name.
#pragma once

#include "core/tokenizer/pattern.h"

#include <string_view>
#include <vector>

namespace realizar {

struct PretokenizerRow {
    std::string_view names; // separated by spaces
    // Perl patterns, applied one after the other: each cuts the pieces of the one before into its
    // matches and the text between them.
    std::vector<std::string_view> patterns;
    bool ignore_merges = false; // a word that is a token is not merged up from bytes
    bool add_bos = false;       // when the file does not say
};

// Empty name: "default". Error unsupported_pretokenizer with the known names.
Result<const PretokenizerRow *> find_pretokenizer(std::string_view name);

// Compiled patterns. Immutable and thread-safe.
class Pretokenizer {
  public:
    static Result<Pretokenizer> create(const PretokenizerRow &row);
    Pretokenizer(Pretokenizer &&) noexcept;
    ~Pretokenizer();

    // The words of the text, in order; together they are the text. Bytes that are not UTF-8 make
    // words of their own, and patterns see the text end there. At most 2^32 - 1 bytes.
    Result<std::vector<std::string_view>> split(std::string_view text) const;

  private:
    Pretokenizer();
    std::vector<Pattern> patterns_;
};

} // namespace realizar
