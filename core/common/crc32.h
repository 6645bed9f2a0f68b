// CRC-32 as in zlib (IEEE 802.3: reflected polynomial 0xEDB88320, start and final XOR with all ones).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace realizar {

namespace detail {

using Crc32Tables = std::array<std::array<uint32_t, 256>, 8>;
constexpr Crc32Tables make_crc32_tables() {
    Crc32Tables tables{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit)
            value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0);
        tables[0][i] = value;
    }
    for (size_t t = 1; t < tables.size(); ++t)
        for (size_t i = 0; i < 256; ++i)
            tables[t][i] = tables[t - 1][i] >> 8 ^ tables[0][tables[t - 1][i] & 0xFF];
    return tables;
}
inline constexpr Crc32Tables kCrc32Tables = make_crc32_tables();

} // namespace detail

class Crc32 {
  public:
    void add(std::span<const std::byte> bytes) {
        const std::byte *at = bytes.data();
        size_t left = bytes.size();
        // Eight bytes at a time, by eight tables ("slicing by 8", Kounavis and Berry 2005).
        for (; left >= 8; left -= 8, at += 8) {
            uint32_t low = 0, high = 0;
            std::memcpy(&low, at, 4);
            std::memcpy(&high, at + 4, 4);
            low ^= state_;
            state_ =
                detail::kCrc32Tables[7][low & 0xFF] ^ detail::kCrc32Tables[6][low >> 8 & 0xFF] ^
                detail::kCrc32Tables[5][low >> 16 & 0xFF] ^ detail::kCrc32Tables[4][low >> 24] ^
                detail::kCrc32Tables[3][high & 0xFF] ^ detail::kCrc32Tables[2][high >> 8 & 0xFF] ^
                detail::kCrc32Tables[1][high >> 16 & 0xFF] ^ detail::kCrc32Tables[0][high >> 24];
        }
        for (; left > 0; --left, ++at)
            state_ = state_ >> 8 ^
                     detail::kCrc32Tables[0][(state_ ^ std::to_integer<uint32_t>(*at)) & 0xFF];
    }
    uint32_t value() const { return ~state_; }

    static uint32_t of(std::span<const std::byte> bytes) {
        Crc32 crc;
        crc.add(bytes);
        return crc.value();
    }

  private:
    uint32_t state_ = 0xFFFFFFFF;
};

} // namespace realizar
