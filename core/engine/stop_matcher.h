// Finds stop strings in text that arrives in pieces, and never lets a part of one through.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace realizar {

class StopMatcher {
  public:
    // Empty strings are ignored.
    explicit StopMatcher(std::vector<std::string> stops);

    // Text that is certain not to belong to a stop string. After a match, the text before it. The
    // match that ends first wins, of several with the same end the longest: so the result does not
    // depend on how the text is cut into pieces.
    std::string push(std::string_view piece);
    bool matched() const { return matched_; }
    // What was held back; call at the end when nothing matched.
    std::string finish();

  private:
    std::vector<std::string> stops_;
    std::string held_;
    bool matched_ = false;
};

} // namespace realizar
