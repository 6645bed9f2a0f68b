// Rates of the CPU backend's kernels on one core, for each instruction set and weight type:
//   dot   bytes of weights read per nanosecond in decoding; a matrix larger than the caches
//   gemm  billions of multiplications a second in prompts
//   pack  part of the gemm time that repacking the panel takes (gemm with one token)
// Times are of the thread's own clock, so that other load on the machine counts little.
#include "plugins/cpu/isa.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <vector>

namespace {

using namespace realizar::cpu;

double thread_seconds() {
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// The best of several runs, in seconds.
template <class Fn>
double best(Fn fn) {
    double result = 1e9;
    for (int i = 0; i < 5; ++i) {
        const double begin = thread_seconds();
        fn();
        result = std::min(result, thread_seconds() - begin);
    }
    return result;
}

struct Type {
    WeightType type;
    const char *name;
    uint64_t elements, bytes;
};
constexpr Type kTypes[] = {{kF32, "F32", 1, 4},      {kF16, "F16", 1, 2},
                           {kBF16, "BF16", 1, 2},    {kQ8_0, "Q8_0", 32, 34},
                           {kQ4_0, "Q4_0", 32, 18},  {kQ4_K, "Q4_K", 256, 144},
                           {kQ6_K, "Q6_K", 256, 210}};

constexpr uint64_t kK = 4096, kTokens = 256;
constexpr uint64_t kWeightBytes = uint64_t{96} << 20;

void measure(const Kernels &k, const Type &t, std::vector<uint8_t> &weights) {
    const uint64_t stride = kK / t.elements * t.bytes, rows = kWeightBytes / stride;
    std::vector<float> x(kK * kTokens), y(std::max(rows, kTokens * k.panel_rows));
    std::mt19937 random(1);
    for (float &v : x)
        v = static_cast<float>(random() % 1000) / 500.0f - 1.0f;
    const bool quantised = t.type >= kQ8_0;
    const uint64_t x_stride = quantised ? q8_row_bytes(kK) : kK * 4;
    std::vector<uint8_t> activations(x_stride * kTokens);
    for (uint64_t i = 0; i < kTokens; ++i) {
        uint8_t *row = activations.data() + i * x_stride;
        if (quantised)
            k.quantize(x.data() + i * kK, row, kK);
        else
            std::copy_n(reinterpret_cast<uint8_t *>(x.data() + i * kK), x_stride, row);
    }
    const double dot = best([&] {
        k.dot[t.type](
            {weights.data(), static_cast<int64_t>(stride), rows, kK, activations.data(), y.data()});
    });
    const uint64_t scratch_bytes = k.gemm_scratch(t.type, kK);
    auto *scratch = static_cast<uint8_t *>(std::aligned_alloc(64, (scratch_bytes + 63) / 64 * 64));
    const auto gemm = [&](uint64_t tokens) {
        k.gemm[t.type]({weights.data(), static_cast<int64_t>(stride), k.panel_rows, kK,
                        activations.data(), static_cast<int64_t>(x_stride), tokens, y.data(),
                        static_cast<int64_t>(k.panel_rows * 4), scratch});
    };
    const double full = best([&] { gemm(kTokens); }), pack = best([&] { gemm(0); });
    std::free(scratch);
    const double macs = static_cast<double>(kK * kTokens * k.panel_rows);
    std::printf("%-7s %-5s %7.1f %9.1f %7.0f%%\n", k.isa, t.name,
                static_cast<double>(rows * stride) / dot * 1e-9, macs / full * 1e-9,
                100 * pack / full);
}

} // namespace

int main() {
    // Zero bytes are finite numbers in every type, and no kernel's speed depends on the values.
    std::vector<uint8_t> weights(kWeightBytes + 4096);
    std::printf("%-7s %-5s %7s %9s %8s\n", "isa", "type", "dot GB/s", "gemm GMAC/s", "pack");
    for (const Kernels *k : available_kernels())
        for (const Type &t : kTypes)
            measure(*k, t, weights);
}
