#include "core/engine/key_turner.h"

#include "core/quant/codec.h"
#include "core/reference/ref_cache.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace realizar {

KeyTurner::KeyTurner(KeyRope rope, DType dtype, uint32_t heads, uint32_t width)
    : rope_(std::move(rope)), dtype_(dtype), heads_(heads), width_(width) {}

// One row of all heads.
void KeyTurner::decode(const std::byte *row, std::span<double> values) const {
    std::vector<float> floats(values.size());
    find_codec(dtype_)->decode(row, floats.data(), floats.size());
    std::ranges::copy(floats, values.begin());
    for (uint32_t head = 0; dtype_ == DType::Q4_0 && head < heads_; ++head)
        ref_rotate(values.subspan(uint64_t{head} * width_, width_));
}

void KeyTurner::encode(std::span<double> values, std::byte *row) const {
    if (dtype_ == DType::Q4_0) {
        for (uint32_t head = 0; head < heads_; ++head)
            ref_rotate(values.subspan(uint64_t{head} * width_, width_));
        const std::vector<std::byte> blocks = ref_encode_rotated(values);
        std::memcpy(row, blocks.data(), blocks.size());
        return;
    }
    const std::vector<float> floats(values.begin(), values.end());
    find_codec(dtype_)->encode(floats.data(), nullptr, row, floats.size());
}

void KeyTurner::turn(std::span<std::byte> rows, int64_t by) const {
    const size_t pairs = rope_.rates.size();
    std::vector<double> cosines(pairs), sines(pairs), values(uint64_t{heads_} * width_);
    for (size_t i = 0; i < pairs; ++i) {
        const double angle = static_cast<double>(by) * rope_.rates[i];
        cosines[i] = std::cos(angle);
        sines[i] = std::sin(angle);
    }
    const uint64_t size = row_bytes(dtype_, values.size());
    for (uint64_t at = 0; at + size <= rows.size(); at += size) {
        decode(&rows[at], values);
        for (uint32_t head = 0; head < heads_; ++head) {
            double *const part = &values[uint64_t{head} * width_ + rope_.offset];
            for (size_t i = 0; i < pairs; ++i) {
                double &x = part[rope_.halves ? i : 2 * i];
                double &y = part[rope_.halves ? i + pairs : 2 * i + 1];
                const double turned = x * cosines[i] - y * sines[i];
                y = x * sines[i] + y * cosines[i];
                x = turned;
            }
        }
        encode(values, &rows[at]);
    }
}

} // namespace realizar
