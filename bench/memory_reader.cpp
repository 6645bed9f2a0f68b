#include "bench/memory_reader.h"

#include "bench/statistics.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

namespace realizar::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kHuge = uint64_t{2} << 20;
constexpr uint64_t kStep = 256; // bytes of a stream at a time

// `bytes` in all, of STREAMS streams that lie one behind the other in memory of `size` bytes. LOCALITY as in __builtin_prefetch: 3
// into all caches, 0 past the shared ones; -1 for no prefetch.
template <int STREAMS, int LOCALITY>
uint64_t read_streams(const uint8_t *data, uint64_t size, uint64_t bytes) {
    typedef uint64_t Vector __attribute__((vector_size(64), aligned(8), may_alias));
    constexpr uint64_t kAhead = 4096;
    const uint64_t part = size / STREAMS;
    Vector sums[4] = {};
    for (uint64_t left = (bytes + STREAMS - 1) / STREAMS; left > 0;) {
        const uint64_t count = std::min(left, part);
        left -= count;
        for (uint64_t i = 0; i < count; i += kStep)
            for (uint64_t s = 0; s < STREAMS; ++s) {
                const uint8_t *p = data + s * part + i;
                for (uint64_t line = 0; line < kStep; line += 64) {
                    if constexpr (LOCALITY >= 0) __builtin_prefetch(p + kAhead + line, 0, LOCALITY);
                    sums[line / 64] += *reinterpret_cast<const Vector *>(p + line);
                }
            }
    }
    const Vector all = sums[0] + sums[1] + sums[2] + sums[3];
    uint64_t total = 0;
    for (int i = 0; i < 8; ++i)
        total += all[i];
    return total;
}

constexpr std::array kNames = {"1 stream",         "1 stream, prefetch",  "1 stream, bypass",
                               "2 streams",        "2 streams, prefetch", "4 streams",
                               "4 streams, bypass"};
constexpr std::array<uint64_t (*)(const uint8_t *, uint64_t, uint64_t), kNames.size()> kReads = {
    read_streams<1, -1>, read_streams<1, 3>,  read_streams<1, 0>, read_streams<2, -1>,
    read_streams<2, 3>,  read_streams<4, -1>, read_streams<4, 0>};

// Actively for as long as steps of one run are apart, then asleep: others may be measured meanwhile.
void wait_while(const std::atomic<uint32_t> &value, uint32_t is) {
    for (int i = 0; i < 20'000; ++i)
        if (value.load(std::memory_order_acquire) != is) return;
    value.wait(is, std::memory_order_acquire);
}

} // namespace

MemoryReader::Memory::Memory(uint64_t bytes)
    : data(static_cast<uint8_t *>(std::aligned_alloc(kHuge, bytes + kHuge))) {
    if (!data) return;
    madvise(data, bytes + kHuge, MADV_HUGEPAGE);
    std::memset(data, 1, bytes + kHuge); // prefetches go beyond the end
}
MemoryReader::Memory::~Memory() { std::free(data); }

MemoryReader::MemoryReader(unsigned threads, uint64_t bytes)
    : bytes_((std::max(bytes, kHuge) + kHuge - 1) / kHuge * kHuge) {
    for (unsigned t = 0; t < std::max(threads, 1u); ++t)
        memory_.push_back(std::make_unique<Memory>(bytes_));
    for (unsigned t = 1; t < threads; ++t)
        others_.emplace_back([this, t] { serve(t); });
}

MemoryReader::~MemoryReader() {
    closing_ = true;
    turn_.fetch_add(1, std::memory_order_release);
    turn_.notify_all();
    for (std::thread &t : others_)
        t.join();
}

bool MemoryReader::ready() const {
    return std::ranges::all_of(memory_, [](const auto &memory) { return memory->data != nullptr; });
}

std::span<const char *const> MemoryReader::forms() { return kNames; }

void MemoryReader::serve(unsigned thread) {
    for (uint32_t seen = 0;; ++seen) {
        wait_while(turn_, seen);
        if (closing_) return;
        read_share(thread);
        done_.fetch_add(1, std::memory_order_release);
    }
}

void MemoryReader::read_share(unsigned thread) {
    sum_.fetch_add(kReads[form_](memory_[thread]->data, bytes_, share_), std::memory_order_relaxed);
}

double MemoryReader::read(size_t form, uint64_t bytes) {
    const auto start = Clock::now();
    form_ = std::min(form, kReads.size() - 1);
    share_ = (bytes + memory_.size() - 1) / memory_.size();
    done_.store(0, std::memory_order_relaxed);
    turn_.fetch_add(1, std::memory_order_release);
    turn_.notify_all();
    read_share(0);
    while (done_.load(std::memory_order_acquire) != others_.size())
        std::this_thread::yield();
    return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<double> MemoryReader::rates(int rounds) {
    std::vector<std::vector<double>> all(kReads.size());
    const uint64_t bytes = bytes_ * memory_.size();
    for (int round = 0; round < rounds; ++round) // in turns: the machine drifts
        for (size_t i = 0; i < all.size(); ++i)
            all[i].push_back(static_cast<double>(bytes) / read(i, bytes) * 1e-9);
    std::vector<double> medians;
    for (const auto &rates : all)
        medians.push_back(median(rates));
    return medians;
}

} // namespace realizar::bench
