#include "core/tokenizer/pattern.h"

#include "core/tokenizer/utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace realizar {
namespace {

struct FreeCode {
    void operator()(pcre2_code *compiled) const { pcre2_code_free(compiled); }
};
struct FreeMatch {
    void operator()(pcre2_match_data *data) const { pcre2_match_data_free(data); }
};

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

std::string message_of(int error) {
    PCRE2_UCHAR text[128] = {};
    pcre2_get_error_message(error, text, sizeof text);
    return reinterpret_cast<const char *>(text);
}

} // namespace

struct Pattern::Code {
    std::unique_ptr<pcre2_code, FreeCode> compiled;
};

Pattern::Pattern(std::unique_ptr<Code> code) : code_(std::move(code)) {}
Pattern::Pattern(Pattern &&) noexcept = default;
Pattern &Pattern::operator=(Pattern &&) noexcept = default;
Pattern::~Pattern() = default;

Result<Pattern> Pattern::compile(std::string_view pattern) {
    int error = 0;
    size_t offset = 0;
    auto code = std::make_unique<Code>();
    code->compiled.reset(pcre2_compile(units(pattern), pattern.size(),
                                       PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &error,
                                       &offset, nullptr));
    if (!code->compiled)
        return make_error(realizar::Code::internal, "bad_pattern",
                          "%s at byte %zu of the pattern '%s'", message_of(error).c_str(), offset,
                          printable(pattern).c_str());
    // Where just-in-time compilation is not to be had the interpreter gives the same result.
    (void)pcre2_jit_compile(code->compiled.get(), PCRE2_JIT_COMPLETE);
    return Pattern(std::move(code));
}

Status Pattern::each_match(std::string_view text,
                           const std::function<void(size_t, size_t)> &each) const {
    // One per thread: texts come in many small pieces.
    thread_local const std::unique_ptr<pcre2_match_data, FreeMatch> data(
        pcre2_match_data_create(1, nullptr));
    if (!data)
        return make_error(realizar::Code::out_of_memory, "out_of_memory",
                          "no memory for a pattern match");
    size_t start = 0;
    while (start < text.size()) {
        const int found = pcre2_match(code_->compiled.get(), units(text), text.size(), start,
                                      PCRE2_NO_UTF_CHECK, data.get(), nullptr);
        if (found == PCRE2_ERROR_NOMATCH) break;
        if (found < 0)
            return make_error(realizar::Code::internal, "pretokenizer_failed",
                              "at byte %zu of the text: %s", start, message_of(found).c_str());
        const size_t *range = pcre2_get_ovector_pointer(data.get());
        if (range[1] == range[0]) {
            start =
                range[1] + (range[1] < text.size() ? next_utf8(text.substr(range[1])).length : 1);
            continue;
        }
        start = range[1];
        each(range[0], range[1]);
    }
    return {};
}

} // namespace realizar
