#include "core/engine/stop_matcher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>

namespace realizar {
namespace {

// The definition: the shortest prefix of the text that ends with a stop string decides.
std::optional<std::string> cut_at_stop(const std::string &text,
                                       const std::vector<std::string> &stops) {
    for (size_t end = 0; end <= text.size(); ++end) {
        const std::string prefix = text.substr(0, end);
        size_t longest = 0;
        for (const std::string &stop : stops)
            if (!stop.empty() && prefix.ends_with(stop)) longest = std::max(longest, stop.size());
        if (longest > 0) return prefix.substr(0, end - longest);
    }
    return std::nullopt;
}

std::string random_text(std::mt19937 &random, size_t length) {
    std::string text(length, 'a');
    for (char &c : text)
        c = "ab\n"[random() % 3];
    return text;
}

struct Outcome {
    std::string text;
    bool matched;
    size_t most_held; // bytes that had come in and not gone out
};

Outcome feed(const std::string &text, const std::vector<std::string> &stops, std::mt19937 &random) {
    StopMatcher matcher(stops);
    Outcome out{"", false, 0};
    for (size_t at = 0; at < text.size();) {
        const size_t count = std::min<size_t>(1 + random() % 4, text.size() - at);
        out.text += matcher.push(std::string_view(text).substr(at, count));
        at += count;
        if (!matcher.matched()) out.most_held = std::max(out.most_held, at - out.text.size());
    }
    out.text += matcher.finish();
    out.matched = matcher.matched();
    return out;
}

TEST(StopMatcher, AgreesWithTheDefinitionForAnySplit) {
    std::mt19937 random(11);
    int matches = 0;
    for (int round = 0; round < 3000; ++round) {
        std::vector<std::string> stops(random() % 4);
        size_t longest = 0;
        for (std::string &stop : stops) {
            stop = random_text(random, random() % 6);
            longest = std::max(longest, stop.size());
        }
        const std::string text = random_text(random, random() % 30);
        const auto expected = cut_at_stop(text, stops);
        const Outcome out = feed(text, stops, random);
        ASSERT_EQ(out.matched, expected.has_value());
        ASSERT_EQ(out.text, expected.value_or(text));
        ASSERT_LT(out.most_held, std::max<size_t>(longest, 1)) << "holds back more than it must";
        matches += out.matched;
    }
    EXPECT_GT(matches, 500);
    EXPECT_LT(matches, 2500);
}

TEST(StopMatcher, TheDefinitionTellsTextsApart) {
    EXPECT_EQ(cut_at_stop("xabcd", {"bcd", "c"}), "xab");
    EXPECT_EQ(cut_at_stop("xabc", {"bc", "c"}), "xa");
    EXPECT_EQ(cut_at_stop("xab", {"bc"}), std::nullopt);
}

TEST(StopMatcher, NothingComesAfterAMatch) {
    StopMatcher matcher({"end"});
    EXPECT_EQ(matcher.push("the e"), "the ");
    EXPECT_EQ(matcher.push("nd and more"), "");
    EXPECT_TRUE(matcher.matched());
    EXPECT_EQ(matcher.push("still more"), "");
    EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcher, WithoutStopsTextPassesAtOnce) {
    StopMatcher matcher({""});
    EXPECT_EQ(matcher.push("abc"), "abc");
    EXPECT_FALSE(matcher.matched());
    EXPECT_EQ(matcher.finish(), "");
}

} // namespace
} // namespace realizar
