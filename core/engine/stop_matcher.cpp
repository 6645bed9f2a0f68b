#include "core/engine/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace realizar {

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
    std::erase_if(stops_, [](const std::string &stop) { return stop.empty(); });
}

std::string StopMatcher::push(std::string_view piece) {
    if (matched_) return {};
    held_ += piece;
    size_t first = std::string::npos, end = std::string::npos;
    for (const std::string &stop : stops_) {
        const size_t at = held_.find(stop);
        if (at == std::string::npos || at + stop.size() > end) continue;
        first = at + stop.size() < end ? at : std::min(first, at);
        end = at + stop.size();
    }
    if (first != std::string::npos) {
        matched_ = true;
        held_.resize(first);
        return std::exchange(held_, {});
    }
    // Hold back the longest tail that may still grow into a stop string.
    size_t keep = 0;
    for (const std::string &stop : stops_)
        for (size_t n = std::min(stop.size() - 1, held_.size()); n > keep; --n)
            if (held_.compare(held_.size() - n, n, stop, 0, n) == 0) keep = n;
    std::string out = held_.substr(0, held_.size() - keep);
    held_.erase(0, held_.size() - keep);
    return out;
}

std::string StopMatcher::finish() { return matched_ ? std::string() : std::exchange(held_, {}); }

} // namespace realizar
