// What bounds decoding on this machine: the best read of memory that threads reach together, and what it
// costs them to meet.
//   read   GB/s of a streaming read with one or more streams for each thread, plain, with prefetches, or
//          with prefetches that bypass the shared cache; the best of them is the roof
//   join   nanoseconds from one phase of a Team to the next when phases do nothing
//   bench_cpu_memory [threads]
#include "plugins/cpu/pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <thread>
#include <vector>

namespace {

using namespace realizar::cpu;

double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

constexpr uint64_t kBytes = uint64_t{256} << 20; // of each thread; far larger than caches
constexpr uint64_t kStep = 256;                  // bytes of a stream between prefetches

// LOCALITY as in __builtin_prefetch: 3 into all caches, 0 past the shared ones, -1 none.
template <int STREAMS, int LOCALITY>
uint64_t read_all(const uint8_t *data) {
    typedef uint64_t Vector __attribute__((vector_size(64), aligned(8), may_alias));
    constexpr uint64_t kPart = kBytes / STREAMS, kAhead = 4096;
    Vector sums[4] = {};
    for (uint64_t i = 0; i < kPart; i += kStep)
        for (uint64_t s = 0; s < STREAMS; ++s) {
            const uint8_t *p = data + s * kPart + i;
            for (uint64_t line = 0; line < kStep; line += 64) {
                if constexpr (LOCALITY >= 0) __builtin_prefetch(p + kAhead + line, 0, LOCALITY);
                sums[line / 64] += *reinterpret_cast<const Vector *>(p + line);
            }
        }
    const Vector all = sums[0] + sums[1] + sums[2] + sums[3];
    uint64_t total = 0;
    for (int i = 0; i < 8; ++i)
        total += all[i];
    return total;
}

struct Form {
    const char *name;
    uint64_t (*read)(const uint8_t *);
};
constexpr Form kForms[] = {
    {"1 stream", read_all<1, -1>},           {"1 stream, prefetch", read_all<1, 3>},
    {"1 stream, bypass", read_all<1, 0>},    {"2 streams", read_all<2, -1>},
    {"2 streams, prefetch", read_all<2, 3>}, {"4 streams", read_all<4, -1>},
    {"4 streams, bypass", read_all<4, 0>},
};

// GB/s of all threads together, each from its own memory.
double rate(const Form &form, const std::vector<uint8_t *> &memory) {
    const auto threads = static_cast<unsigned>(memory.size());
    static std::atomic<uint64_t> sink{0};
    std::atomic<unsigned> ready{0};
    std::vector<double> begins(threads), ends(threads);
    const auto body = [&](unsigned t) {
        ++ready;
        while (ready < threads)
            std::this_thread::yield();
        begins[t] = seconds();
        sink += form.read(memory[t]);
        ends[t] = seconds();
    };
    std::vector<std::thread> others;
    for (unsigned t = 1; t < threads; ++t)
        others.emplace_back(body, t);
    body(0);
    for (std::thread &t : others)
        t.join();
    const double time = *std::max_element(ends.begin(), ends.end()) -
                        *std::min_element(begins.begin(), begins.end());
    return static_cast<double>(kBytes) * threads / time * 1e-9;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

void print_reads(unsigned threads) {
    std::vector<uint8_t *> memory;
    for (unsigned t = 0; t < threads; ++t) {
        constexpr uint64_t kHuge = uint64_t{2} << 20;
        memory.push_back(static_cast<uint8_t *>(std::aligned_alloc(kHuge, kBytes + kHuge)));
        madvise(memory.back(), kBytes, MADV_HUGEPAGE);
        std::memset(memory.back(), static_cast<int>(t + 1), kBytes + kHuge);
    }
    std::vector<double> rates[std::size(kForms)];
    for (int round = 0; round < 7; ++round) // in turns: the machine drifts
        for (size_t i = 0; i < std::size(kForms); ++i)
            rates[i].push_back(rate(kForms[i], memory));
    double roof = 0;
    for (size_t i = 0; i < std::size(kForms); ++i) {
        const double middle = median(rates[i]);
        roof = std::max(roof, middle);
        std::printf("read  %-20s %6.1f GB/s\n", kForms[i].name, middle);
    }
    std::printf("read  %-20s %6.1f GB/s\n", "best", roof);
    for (uint8_t *p : memory)
        std::free(p);
}

// One piece for each thread, as most phases of a decoding step have.
struct Phases {
    unsigned threads;
    double nanoseconds; // of one

    static void lead(void *self, Team &team, unsigned worker) {
        constexpr unsigned kCount = 20'000;
        auto &phases = *static_cast<Phases *>(self);
        const double begin = seconds();
        for (unsigned i = 0; i < kCount; ++i)
            team.run(
                phases.threads, [](void *, uint64_t, unsigned) {}, nullptr, worker);
        phases.nanoseconds = (seconds() - begin) / kCount * 1e9;
    }
};

void print_join(unsigned threads) {
    Pool pool(threads, threads);
    std::vector<double> times;
    for (int round = 0; round < 9; ++round) {
        Phases phases{threads, 0};
        pool.run_team(Phases::lead, &phases);
        times.push_back(phases.nanoseconds);
    }
    std::printf("join  %-20s %6.0f ns\n", "empty pieces", median(times));
}

} // namespace

int main(int argc, char **argv) {
    const unsigned threads =
        argc > 1 ? static_cast<unsigned>(std::clamp(std::atoi(argv[1]), 1, 64)) : 1;
    std::printf("%u thread%s\n", threads, threads == 1 ? "" : "s");
    print_reads(threads);
    print_join(threads);
}
