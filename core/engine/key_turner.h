// Turns keys that RoPE has rotated to other positions, in the type that they are kept in.
#pragma once

#include "core/models/model.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace realizar {

// Angles are float64, so no position is too large; each turn rounds once to the type of the cache.
class KeyTurner {
  public:
    // Rows of `heads` heads of `width` elements in a type that the KV cache has.
    KeyTurner(KeyRope rope, DType dtype, uint32_t heads, uint32_t width);

    // Whole rows, one after the other, by so many positions.
    void turn(std::span<std::byte> rows, int64_t by) const;

  private:
    void decode(const std::byte *row, std::span<double> values) const;
    void encode(std::span<double> values, std::byte *row) const;

    KeyRope rope_;
    DType dtype_;
    uint32_t heads_, width_;
};

} // namespace realizar
