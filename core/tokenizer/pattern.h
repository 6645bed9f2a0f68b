// A compiled Perl pattern over Unicode text.
#pragma once

#include "core/common/result.h"

#include <functional>
#include <memory>
#include <string_view>

namespace realizar {

// Immutable and thread-safe. Move-only.
class Pattern {
  public:
    // Classes such as \s and \w mean Unicode's. Error bad_pattern (Code::internal: patterns are part
    // of the program).
    static Result<Pattern> compile(std::string_view pattern);
    Pattern(Pattern &&) noexcept;
    Pattern &operator=(Pattern &&) noexcept;
    ~Pattern();

    // Calls each(begin, end) for the matches in `text`, which is valid UTF-8, from left to right;
    // empty matches are passed over. Error pretokenizer_failed if the matcher gives up.
    Status each_match(std::string_view text,
                      const std::function<void(size_t begin, size_t end)> &each) const;

  private:
    struct Code;
    explicit Pattern(std::unique_ptr<Code> code);
    std::unique_ptr<Code> code_;
};

} // namespace realizar
