// What bounds decoding on this machine: the best read of memory that threads reach together, and what it
// costs them to meet.
//   read   GB/s of a streaming read with one or more streams for each thread, plain, with prefetches, or
//          with prefetches that bypass the shared cache; the best of them is the roof
//   join   nanoseconds from one phase of a Team to the next when phases do nothing
//   bench_cpu_memory [threads]
#include "bench/memory_reader.h"
#include "bench/statistics.h"
#include "plugins/cpu/pool.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

using namespace realizar::cpu;

double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

void print_reads(unsigned threads) {
    realizar::bench::MemoryReader reader(threads);
    if (!reader.ready()) {
        std::printf("read  not enough memory\n");
        return;
    }
    const std::vector<double> rates = reader.rates(7);
    const auto forms = reader.forms();
    for (size_t i = 0; i < rates.size(); ++i)
        std::printf("read  %-20s %6.1f GB/s\n", forms[i], rates[i]);
    std::printf("read  %-20s %6.1f GB/s\n", "best", *std::max_element(rates.begin(), rates.end()));
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
    std::printf("join  %-20s %6.0f ns\n", "empty pieces", realizar::bench::median(times));
}

} // namespace

int main(int argc, char **argv) {
    const unsigned threads =
        argc > 1 ? static_cast<unsigned>(std::clamp(std::atoi(argv[1]), 1, 64)) : 1;
    std::printf("%u thread%s\n", threads, threads == 1 ? "" : "s");
    print_reads(threads);
    print_join(threads);
}
