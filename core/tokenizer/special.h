// Finding atomic tokens (control, user-defined) in a text.
#pragma once

#include "core/tokenizer/tokenizer.h"

#include <array>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace realizar {

// Leftmost match first, the longest where several begin at one place. Immutable.
//
// An Aho-Corasick automaton of the reversed patterns runs over the text from its end: its state
// then tells the longest pattern that begins at each byte. So the time is linear in the text
// whatever the patterns are, which a forward search with restarts does not give.
class SpecialMatcher {
  public:
    struct Pattern {
        std::string_view text; // not empty; copied
        Token token;
    };
    struct Match {
        size_t begin, length;
        Token token;
    };

    // Of equal texts the first counts.
    explicit SpecialMatcher(const std::vector<Pattern> &patterns);

    // Matches that do not overlap, in the order of the text.
    std::vector<Match> find(std::string_view text) const;

  private:
    struct State {
        uint32_t failure = 0;
        uint32_t length = 0; // of the longest pattern that is a suffix of this state's text
        Token token = -1;    // of that pattern
    };

    uint32_t child(uint32_t state, uint8_t byte) const; // kNoState if there is none
    uint32_t step(uint32_t state, uint8_t byte) const;

    static constexpr uint32_t kNoState = 0xFFFFFFFF;
    std::vector<State> states_; // [0] is the root
    std::array<uint32_t, 256> root_{};
    std::unordered_map<uint64_t, uint32_t> children_; // of all but the root: state << 8 | byte
};

} // namespace realizar
