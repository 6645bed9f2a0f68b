// The generator behind sampling: the same seed gives the same numbers everywhere. The distributions
// of the standard library do not promise that.
#pragma once

#include <array>
#include <cstdint>

namespace realizar {

// Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014. Spreads a seed
// over the state of another generator.
class SplitMix64 {
  public:
    explicit SplitMix64(uint64_t seed) : state_(seed) {}

    uint64_t next() {
        uint64_t z = state_ += 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }

  private:
    uint64_t state_;
};

// xoshiro256**: Blackman, Vigna, "Scrambled linear pseudorandom number generators", ACM TOMS 2021.
class Xoshiro256 {
  public:
    explicit Xoshiro256(uint64_t seed) {
        SplitMix64 spread(seed);
        for (uint64_t &word : state_)
            word = spread.next();
    }
    explicit Xoshiro256(const std::array<uint64_t, 4> &state) : state_(state) {}

    uint64_t next() {
        const uint64_t result = rotate(state_[1] * 5, 7) * 9;
        const uint64_t shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = rotate(state_[3], 45);
        return result;
    }

    // In [0, 1), a multiple of 2^-53.
    double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

  private:
    static uint64_t rotate(uint64_t x, int bits) { return (x << bits) | (x >> (64 - bits)); }

    std::array<uint64_t, 4> state_;
};

} // namespace realizar
