// The normalisation table of SentencePiece models ("precompiled_charsmap").
//
// Layout: u32 size of a trie in bytes, the trie (a double array as in Darts-clone, 32-bit units),
// then replacement texts, each ended by a NUL. The trie maps byte strings to offsets of replacements.
#pragma once

#include "core/common/result.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace realizar {

class Charsmap {
  public:
    Charsmap() = default; // leaves texts as they are
    // Copies the bytes. Empty: as default. Tag bad_vocab if the sizes do not fit together; what the
    // trie holds is checked where it is followed.
    static Result<Charsmap> create(std::span<const std::byte> bytes);

    struct Match {
        size_t length; // bytes of the text
        std::string_view replacement;
    };
    // The longest entry that `text` begins with.
    std::optional<Match> longest_prefix(std::string_view text) const;

  private:
    std::vector<uint32_t> units_;
    std::string replacements_;
};

} // namespace realizar
