#include "plugins/cpu/team.h"

#include <thread>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace realizar::cpu {

namespace {

// Waits actively for about as long as a phase that one thread computes alone, then lets others have the
// processor: there may be more threads than processors.
class Waiting {
  public:
    void pause() {
        if (++turns_ < kTurns) {
#ifdef __x86_64__
            _mm_pause();
#endif
        } else {
            std::this_thread::yield();
        }
    }

  private:
    static constexpr unsigned kTurns = 2000;
    unsigned turns_ = 0;
};

struct Done {
    std::atomic<uint64_t> &count;
    ~Done() { count.fetch_add(1, std::memory_order_release); }
};

} // namespace

// A piece of a phase can be taken once: marks only rise. A thread that is late sees all pieces of its
// phase taken, because the leader goes on only when all are done.
bool Team::take(uint64_t piece, uint64_t phase) {
    uint64_t mark = taken_[piece].load(std::memory_order_relaxed);
    return mark < phase &&
           taken_[piece].compare_exchange_strong(mark, phase, std::memory_order_acq_rel);
}

void Team::work(uint64_t phase, unsigned rank, unsigned worker) {
    const uint64_t n = phase % kMaxPieces + 1, begin = n * rank / threads_;
    for (uint64_t i = 0; i < n; ++i) {
        const uint64_t piece = begin + i < n ? begin + i : begin + i - n;
        if (!take(piece, phase / kMaxPieces)) continue;
        const Done done{done_}; // also when the body throws
        body_.load(std::memory_order_relaxed)(context_.load(std::memory_order_relaxed), piece,
                                              worker);
    }
}

void Team::run(uint64_t n, Body body, void *context, unsigned worker) {
    if (n == 0) return;
    body_.store(body, std::memory_order_relaxed);
    context_.store(context, std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    const uint64_t phase = ++last_ * kMaxPieces + n - 1;
    phase_.store(phase, std::memory_order_release);
    work(phase, 0, worker);
    Waiting waiting;
    while (done_.load(std::memory_order_acquire) != n)
        waiting.pause();
}

void Team::join(unsigned worker) {
    const unsigned rank = members_.fetch_add(1, std::memory_order_relaxed) % threads_;
    uint64_t seen = 0;
    for (;;) {
        uint64_t phase = phase_.load(std::memory_order_acquire);
        for (Waiting waiting; phase == seen; phase = phase_.load(std::memory_order_acquire))
            waiting.pause();
        if (phase == kClosed) return;
        work(phase, rank, worker);
        seen = phase;
    }
}

} // namespace realizar::cpu
