#include "core/tokenizer/special.h"

#include <algorithm>

namespace realizar {

SpecialMatcher::SpecialMatcher(const std::vector<Pattern> &patterns) : states_(1) {
    struct Edge {
        uint32_t parent, state;
        uint8_t byte;
    };
    std::vector<Edge> edges;
    for (const Pattern &pattern : patterns) {
        uint32_t state = 0;
        for (size_t i = pattern.text.size(); i-- > 0;) {
            const auto byte = static_cast<uint8_t>(pattern.text[i]);
            uint32_t next =
                state == 0 ? (root_[byte] ? root_[byte] : kNoState) : child(state, byte);
            if (next == kNoState) {
                next = static_cast<uint32_t>(states_.size());
                states_.emplace_back();
                edges.push_back({state, next, byte});
                if (state == 0)
                    root_[byte] = next;
                else
                    children_.emplace(uint64_t{state} << 8 | byte, next);
            }
            state = next;
        }
        if (states_[state].length == 0) {
            states_[state].length = static_cast<uint32_t>(pattern.text.size());
            states_[state].token = pattern.token;
        }
    }
    // Failure links need the links of all shorter states first.
    std::vector<uint32_t> depth(states_.size(), 0);
    for (const Edge &edge : edges)
        depth[edge.state] = depth[edge.parent] + 1; // a parent is older than its child
    std::stable_sort(edges.begin(), edges.end(),
                     [&](const Edge &a, const Edge &b) { return depth[a.state] < depth[b.state]; });
    for (const Edge &edge : edges) {
        State &state = states_[edge.state];
        state.failure = edge.parent == 0 ? 0 : step(states_[edge.parent].failure, edge.byte);
        if (state.length == 0) {
            state.length = states_[state.failure].length;
            state.token = states_[state.failure].token;
        }
    }
}

uint32_t SpecialMatcher::child(uint32_t state, uint8_t byte) const {
    const auto found = children_.find(uint64_t{state} << 8 | byte);
    return found == children_.end() ? kNoState : found->second;
}

uint32_t SpecialMatcher::step(uint32_t state, uint8_t byte) const {
    for (; state != 0; state = states_[state].failure)
        if (const uint32_t next = child(state, byte); next != kNoState) return next;
    return root_[byte];
}

std::vector<SpecialMatcher::Match> SpecialMatcher::find(std::string_view text) const {
    std::vector<Match> found;
    if (states_.size() == 1) return found;
    uint32_t state = 0;
    for (size_t i = text.size(); i-- > 0;) {
        state = step(state, static_cast<uint8_t>(text[i]));
        const State &now = states_[state];
        if (now.length > 0) found.push_back({i, now.length, now.token});
    }
    std::reverse(found.begin(), found.end());
    size_t end = 0;
    std::erase_if(found, [&](const Match &match) {
        if (match.begin < end) return true;
        end = match.begin + match.length;
        return false;
    });
    return found;
}

} // namespace realizar
