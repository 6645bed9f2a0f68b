// Kernels of the CPU backend on their own, for each instruction set and element type, on all threads at once
// (Google Benchmark). Names: kernel/ISA/TYPE/layout, with the number of tokens.
//   decode   few tokens through a matrix larger than the caches
//   prompt   250 tokens through some rows
// Layouts: canonical as in the file, or packed as weights are loaded. Counters, of all threads:
//   GB/s     weights read        roof   share of the best read of memory (bench_cpu_memory), in %
//   GMAC/s   multiplications     peak   share of what the threads multiply in registers, in %
// bench_cpu_kernels [options of Google Benchmark] [THREADS] [batches]
// With `batches` packed types decode 1 to 64 tokens: where the way of computing changes, and whether more
// sequences ever get less done. Example: bench_cpu_kernels --benchmark_filter=avx512/Q4_K 2
#include "bench/kernels/peak.h"
#include "bench/memory_reader.h"
#include "plugins/cpu/isa.h"
#include "plugins/cpu/packed_layout.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <sys/mman.h>
#include <vector>

namespace {

using namespace realizar::cpu;

struct Type {
    WeightType type;
    const char *name;
    uint64_t elements, bytes;
    bool long_rows; // activations of packed weights
};
constexpr Type kTypes[] = {{kF32, "F32", 1, 4, false},         {kF16, "F16", 1, 2, false},
                           {kBF16, "BF16", 1, 2, false},       {kQ8_0, "Q8_0", 32, 34, false},
                           {kQ4_0, "Q4_0", 32, 18, false},     {kQ4_1, "Q4_1", 32, 20, false},
                           {kQ5_0, "Q5_0", 32, 22, false},     {kQ5_1, "Q5_1", 32, 24, false},
                           {kIQ4_NL, "IQ4_NL", 32, 18, false}, {kMXFP4, "MXFP4", 32, 17, false},
                           {kQ3_K, "Q3_K", 256, 110, true},    {kQ4_K, "Q4_K", 256, 144, true},
                           {kQ5_K, "Q5_K", 256, 176, true},    {kQ6_K, "Q6_K", 256, 210, true},
                           {kIQ4_XS, "IQ4_XS", 256, 136, true}};

constexpr uint64_t kK = 2048, kTokens = 250, kPromptRows = 512;
constexpr uint64_t kWeightBytes = uint64_t{192} << 20; // of each thread
constexpr uint64_t kFew[] = {1, 8};
constexpr uint64_t kBatches[] = {1, 2, 3, 4, 6, 8, 9, 10, 12, 13, 16, 20, 24, 28, 32, 40, 48, 64};

using Memory = std::unique_ptr<uint8_t, decltype(&std::free)>;

Memory allocate(uint64_t size, uint64_t alignment) {
    size = (size + alignment - 1) / alignment * alignment;
    return {static_cast<uint8_t *>(std::aligned_alloc(alignment, size)), &std::free};
}

Memory made_up_weights() {
    constexpr uint64_t kHuge = uint64_t{2} << 20;
    Memory memory = allocate(kWeightBytes + kHuge, kHuge);
    madvise(memory.get(), kWeightBytes + kHuge, MADV_HUGEPAGE);
    // Small numbers in every type, and no two pages alike.
    for (uint64_t i = 0; i < kWeightBytes + kHuge; ++i)
        memory.get()[i] = static_cast<uint8_t>(i * 2654435761u >> 24 & 0x3f);
    return memory;
}

// What all benchmarks share.
struct Machine {
    int threads = 1;
    std::vector<Memory> weights; // of each thread
    double roof = 0;             // GB/s of all threads
};
Machine machine;

// A kernel with its data, as one thread repeats it.
struct Job {
    std::vector<uint8_t> x;
    uint64_t x_stride = 0;
    std::vector<float> y;
    Memory scratch{nullptr, &std::free};
    double bytes = 0, macs = 0; // of one run
    std::function<void()> run;
};

struct Case {
    const Kernels *kernels;
    Type type;
    bool is_packed;
    uint64_t tokens;
    double peak; // GMAC/s of a thread, 0: unknown
    bool is_prompt() const { return tokens == kTokens; }
};

enum class Form { floats, blocks, long_blocks };

void fill_activations(Job &job, const Kernels &k, Form form, uint64_t tokens) {
    job.x_stride = form == Form::floats   ? kK * sizeof(float)
                   : form == Form::blocks ? q8_row_bytes(kK)
                                          : q8_long_row_bytes(kK);
    job.x.resize(job.x_stride * tokens + 64);
    std::mt19937 random(1);
    std::vector<float> row(kK);
    for (uint64_t i = 0; i < tokens; ++i) {
        for (float &v : row)
            v = static_cast<float>(random() % 1000) / 500.0f - 1.0f;
        uint8_t *to = job.x.data() + i * job.x_stride;
        if (form == Form::floats) std::memcpy(to, row.data(), kK * sizeof(float));
        if (form == Form::blocks) k.quantize(row.data(), to, kK);
        if (form == Form::long_blocks) k.quantize_long(row.data(), to, kK);
    }
}

void fill_canonical(Job &job, const Case &c, const uint8_t *weights) {
    const Kernels &k = *c.kernels;
    const WeightType type = c.type.type;
    const uint64_t stride = kK / c.type.elements * c.type.bytes;
    const uint64_t rows = c.is_prompt() ? k.panel_rows : kWeightBytes / stride;
    fill_activations(job, k, type >= kQ8_0 ? Form::blocks : Form::floats, c.tokens);
    job.y.resize(rows * c.tokens);
    job.bytes = static_cast<double>(rows * stride);
    job.macs = static_cast<double>(rows * kK * c.tokens);
    const auto step = static_cast<int64_t>(stride), x_step = static_cast<int64_t>(job.x_stride);
    const auto y_step = static_cast<int64_t>(rows * sizeof(float));
    if (c.is_prompt()) {
        job.scratch = allocate(k.gemm_scratch(type, kK) + 64, 64);
        job.run = [=, &k, &job] {
            k.gemm[type]({weights, step, rows, kK, job.x.data(), x_step, kTokens, job.y.data(),
                          y_step, job.scratch.get()});
        };
    } else {
        job.run = [=, &k, &job] {
            k.dot[type]({weights, step, rows, kK, job.x.data(), job.y.data()});
        };
    }
}

void fill_packed(Job &job, const Case &c, const uint8_t *weights) {
    const Kernels &k = *c.kernels;
    const WeightType type = c.type.type;
    const PackedLayout &layout = *packed_layout(type);
    const uint64_t all = kWeightBytes / layout.group_bytes(kK) * kPackedRows;
    const uint64_t rows = c.is_prompt() ? kPromptRows : all;
    fill_activations(job, k,
                     c.type.elements == 1 ? Form::floats
                     : c.type.long_rows   ? Form::long_blocks
                                          : Form::blocks,
                     c.tokens);
    job.y.resize(rows * c.tokens);
    job.scratch = allocate(k.packed_scratch + 64, 64);
    job.bytes = static_cast<double>(layout.bytes(rows, kK));
    job.macs = static_cast<double>(rows * kK * c.tokens);
    job.run = [=, &k, &job] {
        k.packed[type]({weights, rows, kK, job.x.data(), static_cast<int64_t>(job.x_stride),
                        c.tokens, job.y.data(), static_cast<int64_t>(rows * sizeof(float)),
                        job.scratch.get(), nullptr, 1});
    };
}

void run_case(benchmark::State &state, const Case &c) {
    Job job;
    const uint8_t *weights = machine.weights[static_cast<size_t>(state.thread_index())].get();
    (c.is_packed ? fill_packed : fill_canonical)(job, c, weights);
    const auto start = std::chrono::steady_clock::now();
    for (auto _ : state)
        job.run();
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    // Counters of the threads are added.
    const double runs_a_ns = static_cast<double>(state.iterations()) / passed.count() * 1e-9;
    const double gb = job.bytes * runs_a_ns, gmacs = job.macs * runs_a_ns;
    state.counters["GMAC/s"] = gmacs;
    if (c.peak > 0) state.counters["peak"] = 100 * gmacs / (c.peak * state.threads());
    if (c.is_prompt()) return;
    state.counters["GB/s"] = gb;
    if (machine.roof > 0) state.counters["roof"] = 100 * gb / machine.roof;
}

void add_case(const Case &c) {
    const std::string name = std::string(c.is_prompt() ? "prompt/" : "decode/") + c.kernels->isa +
                             '/' + c.type.name + (c.is_packed ? "/packed/" : "/canonical/") +
                             std::to_string(c.tokens);
    benchmark::RegisterBenchmark(name.c_str(), [c](benchmark::State &state) { run_case(state, c); })
        ->Threads(machine.threads)
        ->UseRealTime()
        ->MinTime(0.1)
        ->Unit(benchmark::kMicrosecond);
}

void add_cases(bool batches) {
    for (const Kernels *k : available_kernels()) {
        const double integers = realizar::bench::integer_peak(k->isa);
        const double floats = realizar::bench::float_peak(k->isa);
        for (const Type &t : kTypes) {
            const double peak = t.elements == 1 ? floats : integers;
            if (!batches) add_case({k, t, false, 1, peak});
            if (!batches) add_case({k, t, false, kTokens, peak});
            if (!k->packed[t.type]) continue;
            const std::span<const uint64_t> tokens =
                batches ? std::span<const uint64_t>(kBatches) : kFew;
            for (const uint64_t n : tokens)
                add_case({k, t, true, n, peak});
            if (!batches) add_case({k, t, true, kTokens, peak});
        }
    }
}

void measure_roof() {
    realizar::bench::MemoryReader reader(static_cast<unsigned>(machine.threads));
    if (!reader.ready()) return;
    const std::vector<double> rates = reader.rates(7);
    machine.roof = *std::max_element(rates.begin(), rates.end());
    std::fprintf(stderr, "memory: %.1f GB/s\n", machine.roof);
}

} // namespace

int main(int argc, char **argv) {
    benchmark::Initialize(&argc, argv);
    if (argc > 1) machine.threads = std::clamp(std::atoi(argv[1]), 1, 64);
    const bool batches = argc > 2 && std::string(argv[2]) == "batches";
    for (int i = 0; i < machine.threads; ++i)
        machine.weights.push_back(made_up_weights());
    measure_roof();
    add_cases(batches);
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}
