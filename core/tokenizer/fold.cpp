#include "core/tokenizer/fold.h"

#include "core/tokenizer/utf8.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace realizar {
namespace {

struct FoldRow {
    char32_t first;
    uint32_t step; // 0: `first` alone becomes all of `results`
    std::u32string_view results;

    char32_t last() const { return first + step * static_cast<char32_t>(results.size() - 1); }
};

constexpr FoldRow kRows[] = {
#include "core/tokenizer/fold_table.inc"
};

// Hangul syllables decompose by arithmetic (Unicode, section 3.12).
constexpr char32_t kSyllables = 0xAC00, kLeads = 0x1100, kVowels = 0x1161, kTails = 0x11A7;
constexpr char32_t kVowelCount = 21, kTailCount = 28, kSyllableCount = 11172;

void append_character(char32_t code, std::string &out) {
    if (code >= kSyllables && code < kSyllables + kSyllableCount) {
        const char32_t index = code - kSyllables;
        append_utf8(kLeads + index / (kVowelCount * kTailCount), out);
        append_utf8(kVowels + index / kTailCount % kVowelCount, out);
        if (index % kTailCount != 0) append_utf8(kTails + index % kTailCount, out);
        return;
    }
    // Rows are sorted by their first character. Two rows with steps of 2 can interleave, so a
    // character that falls into the gaps of one may be in the row before.
    const auto after = std::ranges::upper_bound(kRows, code, {}, &FoldRow::first);
    const auto begin = after - std::min<ptrdiff_t>(2, after - std::begin(kRows));
    for (auto row = after; row != begin;) {
        --row;
        if (code > row->last()) continue;
        if (row->step == 0) {
            for (const char32_t result : row->results)
                append_utf8(result, out);
            return;
        }
        if ((code - row->first) % row->step != 0) continue;
        append_utf8(row->results[(code - row->first) / row->step], out);
        return;
    }
    append_utf8(code, out);
}

} // namespace

std::string folded_text(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const Utf8Unit unit = next_utf8(text);
        if (unit.kind == Utf8Kind::whole) {
            if (unit.length == 1)
                out.push_back(text[0] >= 'A' && text[0] <= 'Z' ? static_cast<char>(text[0] | 0x20)
                                                               : text[0]);
            else
                append_character(code_of_utf8(text.substr(0, unit.length)), out);
        }
        text.remove_prefix(unit.length);
    }
    return out;
}

} // namespace realizar
