#include "core/tokenizer/special.h"

#include <gtest/gtest.h>

#include <random>

using namespace realizar;

namespace {

struct Found {
    size_t begin;
    Token token;
    bool operator==(const Found &) const = default;
};

// At each place the longest pattern, then on behind it.
std::vector<Found> naive_find(const std::vector<std::string> &patterns, std::string_view text,
                              bool shortest) {
    std::vector<Found> found;
    for (size_t i = 0; i < text.size();) {
        size_t best = patterns.size();
        for (size_t p = 0; p < patterns.size(); ++p) {
            if (!text.substr(i).starts_with(patterns[p])) continue;
            if (best == patterns.size() || (shortest ? patterns[p].size() < patterns[best].size()
                                                     : patterns[p].size() > patterns[best].size()))
                best = p;
        }
        if (best < patterns.size()) {
            found.push_back({i, static_cast<Token>(best)});
            i += patterns[best].size();
        } else {
            ++i;
        }
    }
    return found;
}

std::vector<Found> find(const std::vector<std::string> &patterns, std::string_view text) {
    std::vector<SpecialMatcher::Pattern> list;
    for (size_t i = 0; i < patterns.size(); ++i)
        list.push_back({patterns[i], static_cast<Token>(i)});
    std::vector<Found> found;
    for (const SpecialMatcher::Match &match : SpecialMatcher(list).find(text)) {
        EXPECT_EQ(match.length, patterns[static_cast<size_t>(match.token)].size());
        found.push_back({match.begin, match.token});
    }
    return found;
}

TEST(SpecialMatcher, EqualsTheDefinition) {
    std::mt19937_64 random(31);
    size_t control_differs = 0;
    for (int round = 0; round < 2000; ++round) {
        const auto word = [&](uint64_t most) {
            std::string text;
            for (uint64_t n = 1 + random() % most; n > 0; --n)
                text += "ab\xFF"[random() % 3];
            return text;
        };
        std::vector<std::string> patterns;
        for (uint64_t n = random() % 8; n > 0; --n)
            patterns.push_back(word(6));
        const std::string text = word(60);
        const auto found = find(patterns, text);
        EXPECT_EQ(found, naive_find(patterns, text, false));
        control_differs += found != naive_find(patterns, text, true);
    }
    EXPECT_GT(control_differs, 0u);
}

TEST(SpecialMatcher, Nothing) {
    EXPECT_TRUE(find({}, "abc").empty());
    EXPECT_TRUE(find({"abc"}, "").empty());
    EXPECT_TRUE(find({"abc"}, "ab").empty());
}

// Patterns made to defeat a search with restarts; the test's timeout is the judge.
TEST(SpecialMatcher, HostilePatterns) {
    const std::string run(1 << 16, 'a');
    const std::string text(1 << 20, 'a');
    const auto found = find({"a", run + "b"}, text);
    EXPECT_EQ(found.size(), text.size());
}

} // namespace
