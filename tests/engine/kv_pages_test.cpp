#include "core/engine/kv_pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace realizar {
namespace {

constexpr uint32_t kSequences = 3, kPages = 7, kPerSequence = 4, kPageSize = 8;

// What must hold whatever has happened: no page is used twice, none is lost, lengths are as told.
void expect_sound(const KvPages &pages, const std::vector<uint32_t> &lengths) {
    std::set<int32_t> used;
    uint32_t mapped = 0;
    for (uint32_t s = 0; s < kSequences; ++s) {
        ASSERT_EQ(pages.length(s), lengths[s]);
        for (uint32_t p = 0; p < kPerSequence; ++p) {
            const int32_t page = pages.table()[s * kPerSequence + p];
            ASSERT_EQ(page >= 0, p < (lengths[s] + kPageSize - 1) / kPageSize);
            if (page < 0) continue;
            ASSERT_LT(page, static_cast<int32_t>(kPages));
            ASSERT_TRUE(used.insert(page).second) << "page " << page << " is used twice";
            ++mapped;
        }
        for (uint32_t i = 0; i < lengths[s]; ++i) {
            const int32_t page = pages.table()[s * kPerSequence + i / kPageSize];
            ASSERT_EQ(pages.cell(s, i),
                      page * static_cast<int32_t>(kPageSize) + static_cast<int32_t>(i % kPageSize));
        }
    }
    ASSERT_EQ(pages.free_pages(), kPages - mapped);
}

TEST(KvPages, RandomGrowthAndCuts) {
    std::mt19937 random(7);
    KvPages pages(kSequences, kPages, kPerSequence, kPageSize);
    std::vector<uint32_t> lengths(kSequences, 0);
    int refused = 0;
    for (int step = 0; step < 3000; ++step) {
        const uint32_t s = random() % kSequences,
                       length = random() % (kPerSequence * kPageSize + 5);
        if (random() % 2) {
            const auto status = pages.grow(s, length);
            if (status.ok()) {
                lengths[s] = std::max(lengths[s], length);
            } else {
                EXPECT_EQ(status.error().tag, "context_full");
                ++refused;
            }
        } else {
            pages.cut(s, length);
            lengths[s] = std::min(lengths[s], length);
        }
        expect_sound(pages, lengths);
        if (HasFatalFailure()) return;
    }
    EXPECT_GT(refused, 0) << "the pool never ran out: the test says little";
}

TEST(KvPages, SequencesCompeteForThePool) {
    KvPages pages(2, 3, 2, 4);
    ASSERT_TRUE(pages.grow(0, 8).ok());
    ASSERT_TRUE(pages.grow(1, 4).ok());
    EXPECT_FALSE(pages.grow(1, 5).ok());
    EXPECT_EQ(pages.length(1), 4u);
    pages.cut(0, 4); // gives one page back
    EXPECT_TRUE(pages.grow(1, 5).ok());
    EXPECT_FALSE(pages.grow(0, 9).ok()) << "more than a sequence may have";
}

TEST(KvPages, ForgetsWholePagesOnly) {
    KvPages pages(2, 4, 8, 4); // fewer pages than two sequences of 32 positions would take
    for (uint32_t length = 1; length <= 32; ++length) {
        ASSERT_TRUE(pages.grow(0, length).ok()) << length;
        const uint32_t seen = length > 6 ? length - 6 : 0; // a window of 6 and the next row
        pages.forget(0, seen);
        EXPECT_EQ(pages.first(0), seen / 4 * 4);
        for (uint32_t p = 0; p < 8; ++p)
            EXPECT_EQ(pages.table()[p] >= 0, p >= seen / 4 && p < (length + 3) / 4) << p;
    }
    EXPECT_EQ(pages.free_pages(), 4u - 2u);
    pages.forget(0, 100); // no further than what is there
    EXPECT_EQ(pages.first(0), 32u);
    EXPECT_EQ(pages.free_pages(), 4u);
    ASSERT_TRUE(pages.grow(1, 16).ok());
    pages.cut(0, 0);
    EXPECT_EQ(pages.first(0), 0u);
    EXPECT_FALSE(pages.grow(0, 1).ok()) << "the other sequence has all pages";
    pages.forget(1, 4);
    EXPECT_TRUE(pages.grow(0, 1).ok());
}

// A page goes and what lies behind it moves down, whether its beginning was forgotten or not.
TEST(KvPages, DropsOnePage) {
    for (const uint32_t forgotten : {0u, 4u, 8u, 12u}) {
        KvPages pages(2, 6, 5, 4);
        ASSERT_TRUE(pages.grow(1, 3).ok());
        ASSERT_TRUE(pages.grow(0, 18).ok());
        const std::vector<int32_t> before(pages.table().begin(), pages.table().begin() + 5);
        pages.forget(0, forgotten);
        const uint32_t free = pages.free_pages();
        pages.drop(0, 1); // positions 4 to 7
        EXPECT_EQ(pages.length(0), 14u);
        EXPECT_EQ(pages.free_pages(), free + (forgotten <= 4));
        const uint32_t first = forgotten > 4 ? forgotten - 4 : forgotten;
        EXPECT_EQ(pages.first(0), first);
        for (uint32_t p = first; p < 14; ++p)
            EXPECT_EQ(pages.cell(0, p),
                      before[p < 4 ? 0 : p / 4 + 1] * 4 + static_cast<int32_t>(p % 4))
                << p;
        EXPECT_EQ(pages.table()[4], -1);
        EXPECT_EQ(pages.length(1), 3u);
        ASSERT_TRUE(pages.grow(0, 20).ok());
        pages.cut(0, 0);
        EXPECT_EQ(pages.free_pages(), 5u);
    }
}

} // namespace
} // namespace realizar
