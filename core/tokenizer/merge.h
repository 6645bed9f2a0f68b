// The merging loop of byte-pair encoding, shared by the kinds of tokenizers.
//
// Of all neighbouring pairs that may merge, the one of lowest rank merges first, the leftmost among
// equals, until none is left. A linked list of symbols and a heap of candidates make this
// O(n log n) for n symbols; a candidate that an earlier merge has overtaken is dropped when popped.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace realizar {

// Part of a text: `id` is the caller's.
struct BpeSymbol {
    uint32_t begin, length; // bytes; length 0: merged into its left neighbour
    uint32_t previous, next;
    int32_t id;
};

struct BpeMerge {
    static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
    uint32_t rank = kNone;
    int32_t id = -1; // of the merged symbol
};

// Not thread-safe; reuse one object for many words, it keeps its memory.
class BpeMerger {
  public:
    void clear() { symbols_.clear(); }

    // Appends a symbol; ranges follow each other.
    void add(uint32_t begin, uint32_t length, int32_t id) {
        const auto index = static_cast<uint32_t>(symbols_.size());
        if (index > 0) symbols_.back().next = index;
        symbols_.push_back({begin, length, index > 0 ? index - 1 : kEnd, kEnd, id});
    }

    // lookup(left, right) gives the BpeMerge of two neighbours.
    template <class Lookup>
    void run(const Lookup &lookup) {
        heap_.clear();
        for (uint32_t i = 0; i + 1 < symbols_.size(); ++i)
            push(i, lookup);
        while (!heap_.empty()) {
            std::pop_heap(heap_.begin(), heap_.end(), later);
            const Candidate best = heap_.back();
            heap_.pop_back();
            BpeSymbol &left = symbols_[best.left];
            // Lengths only grow, so the same sum of neighbours means the same two symbols.
            if (left.length == 0 || left.next == kEnd) continue;
            BpeSymbol &right = symbols_[left.next];
            if (left.length + right.length != best.length || left.length != best.left_length)
                continue;
            left.length = best.length;
            left.id = best.id;
            left.next = right.next;
            right.length = 0;
            if (left.next != kEnd) symbols_[left.next].previous = best.left;
            if (left.previous != kEnd) push(left.previous, lookup);
            push(best.left, lookup);
        }
    }

    // The symbols that are left, in order.
    template <class Visit>
    void visit(const Visit &each) const {
        for (uint32_t i = symbols_.empty() ? kEnd : 0; i != kEnd; i = symbols_[i].next)
            each(symbols_[i]);
    }

  private:
    static constexpr uint32_t kEnd = std::numeric_limits<uint32_t>::max();

    struct Candidate {
        uint32_t rank, left;
        uint32_t left_length, length; // of the left symbol and of both
        int32_t id;
    };

    static bool later(const Candidate &a, const Candidate &b) {
        return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
    }

    // The pair of symbol `left` and its right neighbour, if it may merge.
    template <class Lookup>
    void push(uint32_t left, const Lookup &lookup) {
        const BpeSymbol &symbol = symbols_[left];
        if (symbol.next == kEnd) return;
        const BpeSymbol &right = symbols_[symbol.next];
        const BpeMerge merge = lookup(symbol, right);
        if (merge.rank == BpeMerge::kNone) return;
        heap_.push_back({merge.rank, left, symbol.length, symbol.length + right.length, merge.id});
        std::push_heap(heap_.begin(), heap_.end(), later);
    }

    std::vector<BpeSymbol> symbols_;
    std::vector<Candidate> heap_;
};

} // namespace realizar
