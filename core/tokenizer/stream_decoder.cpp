#include "core/tokenizer/tokenizer.h"
#include "core/tokenizer/utf8.h"

namespace realizar {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD"; // U+FFFD

// Moves what can be shown from the front of `held` to the result.
std::string take_text(std::string &held, bool at_end) {
    std::string out;
    size_t begin = 0;
    while (begin < held.size()) {
        const Utf8Unit unit = next_utf8(std::string_view(held).substr(begin));
        if (unit.kind == Utf8Kind::cut && !at_end) break;
        if (unit.kind == Utf8Kind::whole)
            out.append(held, begin, unit.length);
        else
            out.append(kReplacement);
        begin += unit.length;
    }
    held.erase(0, begin);
    return out;
}

} // namespace

StreamDecoder::StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool at_start)
    : tokenizer_(std::move(tokenizer)), at_start_(at_start) {}

std::string StreamDecoder::push(Token token) {
    held_ += tokenizer_->next_piece(token, false, at_start_);
    return take_text(held_, false);
}

std::string StreamDecoder::finish() { return take_text(held_, true); }

} // namespace realizar
