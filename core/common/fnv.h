// A hash to tell things apart that nobody has made alike on purpose.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace realizar {

// 64-bit FNV-1a (Fowler, Noll, Vo).
class Fnv {
  public:
    void bytes(const void *data, size_t size) {
        const auto *byte = static_cast<const unsigned char *>(data);
        for (size_t i = 0; i < size; ++i)
            hash_ = (hash_ ^ byte[i]) * 0x100000001b3ull;
    }
    void number(uint64_t value) { bytes(&value, sizeof value); }
    void text(std::string_view value) {
        number(value.size());
        bytes(value.data(), value.size());
    }
    uint64_t hash() const { return hash_; }

  private:
    uint64_t hash_ = 0xcbf29ce484222325ull;
};

} // namespace realizar
