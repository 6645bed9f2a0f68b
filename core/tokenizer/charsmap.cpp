#include "core/tokenizer/charsmap.h"

#include <cstring>

namespace realizar {
namespace {

// Fields of a unit of the double array. A unit that is reached by a byte carries that byte; the unit
// at its offset, if has_leaf, is the value of the key that ends here.
bool has_leaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t value_of(uint32_t unit) { return unit & 0x7FFFFFFF; }
uint32_t label_of(uint32_t unit) { return unit & 0x800000FF; }
uint32_t offset_of(uint32_t unit) { return unit >> 10 << ((unit & 0x200) >> 6); }

} // namespace

Result<Charsmap> Charsmap::create(std::span<const std::byte> bytes) {
    Charsmap map;
    if (bytes.empty()) return map;
    uint32_t trie = 0;
    if (bytes.size() < sizeof trie)
        return make_error(realizar::Code::malformed, "bad_vocab",
                          "tokenizer.ggml.precompiled_charsmap: expected 0 or at least 4 bytes, "
                          "found %zu",
                          bytes.size());
    std::memcpy(&trie, bytes.data(), sizeof trie);
    const auto rest = bytes.subspan(sizeof trie);
    if (trie == 0 || trie % sizeof(uint32_t) != 0 || trie > rest.size())
        return make_error(realizar::Code::malformed, "bad_vocab",
                          "tokenizer.ggml.precompiled_charsmap: expected a trie of a multiple of 4 "
                          "bytes within the %zu that follow, found %u",
                          rest.size(), trie);
    map.units_.resize(trie / sizeof(uint32_t));
    std::memcpy(map.units_.data(), rest.data(), trie);
    const auto texts = rest.subspan(trie);
    map.replacements_.assign(reinterpret_cast<const char *>(texts.data()), texts.size());
    return map;
}

std::optional<Charsmap::Match> Charsmap::longest_prefix(std::string_view text) const {
    std::optional<Match> best;
    if (units_.empty()) return best;
    size_t node = offset_of(units_[0]);
    for (size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<uint8_t>(text[i]);
        node ^= byte;
        if (node >= units_.size() || label_of(units_[node]) != byte) break;
        const uint32_t unit = units_[node];
        node ^= offset_of(unit);
        if (!has_leaf(unit) || node >= units_.size()) continue;
        const uint32_t at = value_of(units_[node]);
        if (at >= replacements_.size()) continue;
        const std::string_view rest = std::string_view(replacements_).substr(at);
        best = Match{i + 1, rest.substr(0, rest.find('\0'))};
    }
    return best;
}

} // namespace realizar
