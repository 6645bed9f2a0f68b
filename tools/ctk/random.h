// Random numbers that are the same on every platform: std::mt19937_64 is fixed by the standard, the
// distributions of <random> are not.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <string_view>

namespace realizar::ctk {

class Random {
  public:
    explicit Random(uint64_t seed) : engine_(seed) {}

    uint64_t bits() { return engine_(); }
    // Uniform in [low, high], both included. The bias of the remainder is below 2^-40 for the small
    // ranges of tests.
    int64_t integer(int64_t low, int64_t high) {
        return low + static_cast<int64_t>(engine_() % static_cast<uint64_t>(high - low + 1));
    }
    double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
    bool chance(double probability) { return uniform() < probability; }
    // Standard normal (Box and Muller 1958).
    double normal() {
        const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
        return radius * std::cos(6.283185307179586 * uniform());
    }

  private:
    std::mt19937_64 engine_;
};

// Seed of one test: FNV-1a of its name over the seed of the run, so that a test gives the same data
// whether it runs alone or among others.
inline uint64_t seed_of(std::string_view name, uint64_t run_seed) {
    uint64_t hash = 0xcbf29ce484222325ull ^ run_seed;
    for (const char c : name)
        hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ull;
    return hash;
}

} // namespace realizar::ctk
