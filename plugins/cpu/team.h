// Threads that stay together for one submission: between two phases they wait actively, so that a join
// costs a fraction of a microsecond instead of waking threads each time.
#pragma once

#include <atomic>
#include <cstdint>

namespace realizar::cpu {

class Team {
  public:
    // As TbbPool::Body: piece i, on the worker with this index.
    using Body = void (*)(void *context, uint64_t i, unsigned worker);

    static constexpr uint64_t kMaxPieces = 256;

    explicit Team(unsigned threads) : threads_(threads) {}

    unsigned threads() const { return threads_; }

    // The leader's: runs n pieces, at most kMaxPieces, with whoever has joined; others' pieces are taken
    // over by those who are done. Each member begins with its own contiguous part of the pieces, the same
    // one each time. Returns when all are done.
    void run(uint64_t n, Body body, void *context, unsigned worker);
    // No more work: the others leave.
    void close() { phase_.store(kClosed, std::memory_order_release); }
    // The others': works until the leader closes.
    void join(unsigned worker);

  private:
    static constexpr uint64_t kClosed = UINT64_MAX;

    void work(uint64_t phase, unsigned rank, unsigned worker);
    bool take(uint64_t piece, uint64_t phase);

    unsigned threads_;
    uint64_t last_ = 0; // the leader's number of phases
    // Written by the leader before phase_, read by those who hold a piece of that phase.
    std::atomic<Body> body_{nullptr};
    std::atomic<void *> context_{nullptr};
    std::atomic<unsigned> members_{1};
    // Number of the phase times kMaxPieces, plus its pieces - 1: in one word, so that nobody sees the one
    // without the other.
    alignas(64) std::atomic<uint64_t> phase_{0};
    alignas(64) std::atomic<uint64_t> done_{0};
    alignas(64)
        std::atomic<uint64_t> taken_[kMaxPieces] = {}; // the last phase that a piece was taken in
};

} // namespace realizar::cpu
