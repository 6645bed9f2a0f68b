#include "bench/kernels/peak.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace realizar::bench {
namespace {

using Loop = void (*)(uint64_t turns);

// Sums that do not wait for each other: more than latency times rate of any multiplier (4 * 2).
constexpr int kSums = 10;

// GMAC/s of a loop with kSums instructions a turn: the best of several, as nothing makes it faster.
[[maybe_unused]] double peak_of(Loop loop, double products) {
    using Clock = std::chrono::steady_clock;
    constexpr uint64_t kTurns = 200'000;
    double best = 0;
    for (int i = 0; i < 20; ++i) {
        const auto start = Clock::now();
        loop(kTurns);
        const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
        best = std::max(best, products * kSums * kTurns / seconds * 1e-9);
    }
    return best;
}

#if defined(__x86_64__)

// The compiler takes `v` as changed, so that no product is made once for all turns.
#define RENEW(v) asm volatile("" : "+v"(v))

__attribute__((target("avx512f,avx512bw,avx512vnni"))) void integers_avx512(uint64_t turns) {
    __m512i a = _mm512_set1_epi8(1), b = a, sums[kSums] = {};
    for (uint64_t i = 0; i < turns; ++i)
        for (__m512i &sum : sums) {
            sum = _mm512_dpbusd_epi32(sum, a, b);
            RENEW(sum);
        }
}

__attribute__((target("avx2,avxvnni"))) void integers_avxvnni(uint64_t turns) {
    __m256i a = _mm256_set1_epi8(1), b = a, sums[kSums] = {};
    for (uint64_t i = 0; i < turns; ++i)
        for (__m256i &sum : sums) {
            sum = _mm256_dpbusd_avx_epi32(sum, a, b);
            RENEW(sum);
        }
}

__attribute__((target("avx2"))) void integers_avx2(uint64_t turns) {
    __m256i a = _mm256_set1_epi8(1), b = a, sums[kSums] = {};
    const __m256i ones = _mm256_set1_epi16(1);
    for (uint64_t i = 0; i < turns; ++i)
        for (__m256i &sum : sums) {
            RENEW(b);
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
            RENEW(sum);
        }
}

__attribute__((target("avx512f"))) void floats_avx512(uint64_t turns) {
    __m512 a = _mm512_set1_ps(1), b = a, sums[kSums] = {};
    for (uint64_t i = 0; i < turns; ++i)
        for (__m512 &sum : sums) {
            sum = _mm512_fmadd_ps(a, b, sum);
            RENEW(sum);
        }
}

__attribute__((target("avx2,fma"))) void floats_avx2(uint64_t turns) {
    __m256 a = _mm256_set1_ps(1), b = a, sums[kSums] = {};
    for (uint64_t i = 0; i < turns; ++i)
        for (__m256 &sum : sums) {
            sum = _mm256_fmadd_ps(a, b, sum);
            RENEW(sum);
        }
}

#undef RENEW
#endif

} // namespace

double integer_peak([[maybe_unused]] std::string_view isa) {
#if defined(__x86_64__)
    if (isa == "avx512") return peak_of(integers_avx512, 64);
    if (isa == "avxvnni") return peak_of(integers_avxvnni, 32);
    if (isa == "avx2") return peak_of(integers_avx2, 32);
#endif
    return 0;
}

double float_peak([[maybe_unused]] std::string_view isa) {
#if defined(__x86_64__)
    if (isa == "avx512") return peak_of(floats_avx512, 16);
    if (isa == "avx2" || isa == "avxvnni") return peak_of(floats_avx2, 8);
#endif
    return 0;
}

} // namespace realizar::bench
