// Rates of the CPU backend's kernels, and as a share of what the machine does at best:
//   read    GB/s of a plain streaming read, the roof of decoding
//   dot     GB/s of weights in decoding, one token; a matrix larger than the caches
//   batch   the same weights for 8 tokens: times of the one-token pass
//   gemm    GMAC/s in prompts
// With `packed` rows: the layout that weights are loaded into; others read the canonical one.
//   bench_cpu_kernels [threads] [text that isa or type must contain] [batches]
// With `batches`: GMAC/s of packed weights for several numbers of tokens, so that one sees where the way of
// computing changes and whether more sequences ever get less done.
#include "plugins/cpu/isa.h"
#include "plugins/cpu/packed_layout.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <vector>

namespace {

using namespace realizar::cpu;

double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

// The best of several runs of fn(thread) on all threads at once, in seconds.
template <class Fn>
double best(unsigned threads, Fn fn, int runs = 5) {
    double result = 1e9;
    for (int i = 0; i < runs; ++i) {
        std::atomic<unsigned> ready{0};
        std::vector<double> begins(threads), ends(threads);
        const auto body = [&](unsigned t) {
            ++ready;
            while (ready < threads) {
            }
            begins[t] = seconds();
            fn(t);
            ends[t] = seconds();
        };
        std::vector<std::thread> others;
        for (unsigned t = 1; t < threads; ++t)
            others.emplace_back(body, t);
        body(0);
        for (std::thread &t : others)
            t.join();
        result = std::min(result, *std::max_element(ends.begin(), ends.end()) -
                                      *std::min_element(begins.begin(), begins.end()));
    }
    return result;
}

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

constexpr uint64_t kK = 2048, kTokens = 250;
constexpr std::array<uint64_t, 18> kBatches = {1,  2,  3,  4,  6,  8,  9,  10, 12,
                                               13, 16, 20, 24, 28, 32, 40, 48, 64};
constexpr uint64_t kWeightBytes = uint64_t{192} << 20; // of each thread

struct Mapped {
    explicit Mapped(uint64_t size)
        : data(static_cast<uint8_t *>(std::aligned_alloc(uint64_t{2} << 20, size))) {
        madvise(data, size, MADV_HUGEPAGE);
        // Small numbers in every type, and no two pages alike.
        for (uint64_t i = 0; i < size; ++i)
            data[i] = static_cast<uint8_t>(i * 2654435761u >> 24 & 0x3f);
    }
    ~Mapped() { std::free(data); }
    Mapped(const Mapped &) = delete;
    Mapped &operator=(const Mapped &) = delete;
    uint8_t *data;
};

uint64_t read_all(const uint8_t *data, uint64_t size) {
    uint64_t sums[8] = {};
    for (uint64_t i = 0; i < size; i += 64) {
        __builtin_prefetch(data + i + 4096);
        for (uint64_t j = 0; j < 8; ++j) {
            uint64_t v;
            std::memcpy(&v, data + i + 8 * j, 8);
            sums[j] += v;
        }
    }
    uint64_t total = 0;
    for (const uint64_t s : sums)
        total += s;
    return total;
}

struct Bench {
    unsigned threads;
    std::vector<std::unique_ptr<Mapped>> weights;
    double roof;

    std::vector<uint8_t> activations(const Kernels &k, uint64_t stride, int form) {
        std::vector<float> x(kK * kTokens);
        std::mt19937 random(1);
        for (float &v : x)
            v = static_cast<float>(random() % 1000) / 500.0f - 1.0f;
        std::vector<uint8_t> out(stride * kTokens + 64);
        for (uint64_t i = 0; i < kTokens; ++i) {
            uint8_t *row = out.data() + i * stride;
            if (form == 0) std::memcpy(row, x.data() + i * kK, kK * 4);
            if (form == 1) k.quantize(x.data() + i * kK, row, kK);
            if (form == 2) k.quantize_long(x.data() + i * kK, row, kK);
        }
        return out;
    }
    void print(const Kernels &k, const Type &t, const char *layout, double bytes, double dot,
               double batch, double macs, double gemm) {
        const double rate = bytes * threads / dot * 1e-9;
        std::printf("%-7s %-6s %-9s %7.1f GB/s %4.0f%%  %5.2fx  %7.1f GMAC/s\n", k.isa, t.name,
                    layout, rate, 100 * rate / roof, batch / dot, macs * threads / gemm * 1e-9);
        std::fflush(stdout);
    }
    void canonical(const Kernels &k, const Type &t) {
        const uint64_t stride = kK / t.elements * t.bytes, rows = kWeightBytes / stride;
        const int form = t.type >= kQ8_0 ? 1 : 0;
        const uint64_t x_stride = form ? q8_row_bytes(kK) : kK * 4;
        const auto x = activations(k, x_stride, form);
        std::vector<std::vector<float>> y(threads, std::vector<float>(rows + kTokens * 64));
        const double dot = best(threads, [&](unsigned i) {
            k.dot[t.type](
                {weights[i]->data, static_cast<int64_t>(stride), rows, kK, x.data(), y[i].data()});
        });
        const uint64_t size = (k.gemm_scratch(t.type, kK) + 63) / 64 * 64;
        std::vector<std::unique_ptr<uint8_t, decltype(&std::free)>> scratch;
        for (unsigned i = 0; i < threads; ++i)
            scratch.emplace_back(static_cast<uint8_t *>(std::aligned_alloc(64, size)), &std::free);
        const double gemm = best(threads, [&](unsigned i) {
            k.gemm[t.type]({weights[i]->data, static_cast<int64_t>(stride), k.panel_rows, kK,
                            x.data(), static_cast<int64_t>(x_stride), kTokens, y[i].data(),
                            static_cast<int64_t>(k.panel_rows * 4), scratch[i].get()});
        });
        print(k, t, "canonical", static_cast<double>(rows * stride), dot, 8 * dot,
              static_cast<double>(kK * kTokens * k.panel_rows), gemm);
    }
    void packed(const Kernels &k, const Type &t, bool batches) {
        const PackedLayout &layout = *packed_layout(t.type);
        const uint64_t rows = kWeightBytes / layout.group_bytes(kK) * kPackedRows;
        const bool floats = t.elements == 1;
        const uint64_t x_stride = floats        ? kK * 4
                                  : t.long_rows ? q8_long_row_bytes(kK)
                                                : q8_row_bytes(kK);
        const auto x = activations(k, x_stride, floats ? 0 : t.long_rows ? 2 : 1);
        constexpr uint64_t kGemmRows = 512;
        std::vector<std::vector<float>> y(
            threads, std::vector<float>(kBatches.back() * rows + kTokens * kGemmRows));
        std::vector<std::unique_ptr<uint8_t, decltype(&std::free)>> scratch;
        for (unsigned i = 0; i < threads; ++i)
            scratch.emplace_back(static_cast<uint8_t *>(std::aligned_alloc(64, k.packed_scratch)),
                                 &std::free);
        const auto run = [&](uint64_t n, uint64_t tokens, int runs = 5) {
            return best(
                threads,
                [&](unsigned i) {
                    k.packed[t.type]({weights[i]->data, n, kK, x.data(),
                                      static_cast<int64_t>(x_stride), tokens, y[i].data(),
                                      static_cast<int64_t>(n * 4), scratch[i].get(), nullptr, 1});
                },
                runs);
        };
        if (!batches)
            return print(k, t, "packed", static_cast<double>(layout.bytes(rows, kK)), run(rows, 1),
                         run(rows, 8), static_cast<double>(kK * kTokens * kGemmRows),
                         run(kGemmRows, kTokens));
        // A quarter of the memory: short enough to be undisturbed now and then.
        const uint64_t some = rows / 4 / kPackedRows * kPackedRows;
        std::printf("%-7s %-6s", k.isa, t.name);
        for (const uint64_t tokens : kBatches)
            std::printf(" %5.0f", static_cast<double>(kK * tokens * some * threads) * 1e-9 /
                                      run(some, tokens, 10));
        std::printf("\n");
        std::fflush(stdout);
    }
};

} // namespace

int main(int argc, char **argv) {
    Bench bench{argc > 1 ? static_cast<unsigned>(std::max(1, std::atoi(argv[1]))) : 1, {}, 0};
    const std::string filter = argc > 2 ? argv[2] : "";
    for (unsigned i = 0; i < bench.threads; ++i)
        bench.weights.push_back(std::make_unique<Mapped>(kWeightBytes + (uint64_t{2} << 20)));
    std::atomic<uint64_t> sink{0};
    bench.roof = static_cast<double>(kWeightBytes) * bench.threads * 1e-9 /
                 best(bench.threads,
                      [&](unsigned i) { sink += read_all(bench.weights[i]->data, kWeightBytes); });
    std::printf("%u thread%s, read %.1f GB/s\n", bench.threads, bench.threads == 1 ? "" : "s",
                bench.roof);
    const bool batches = argc > 3;
    if (batches) {
        std::printf("%-7s %-6s", "isa", "type");
        for (const uint64_t tokens : kBatches)
            std::printf(" %5llu", static_cast<unsigned long long>(tokens));
        std::printf("\n");
    } else {
        std::printf("%-7s %-6s %-9s %12s %5s  %6s  %14s\n", "isa", "type", "layout", "dot", "roof",
                    "batch8", "gemm");
    }
    for (const Kernels *k : available_kernels())
        for (const Type &t : kTypes) {
            if ((std::string(k->isa) + " " + t.name).find(filter) == std::string::npos) continue;
            if (!batches) bench.canonical(*k, t);
            if (k->packed[t.type]) bench.packed(*k, t, batches);
        }
}
