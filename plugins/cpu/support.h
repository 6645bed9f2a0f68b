// Memory of this backend; errors and struct checks are those of all backends (plugins/common).
#pragma once

#include "plugins/common/region.h"

#include <cstddef>
#include <cstdint>

namespace realizar::cpu {

using namespace plugin;

// A block from rz_host.alloc, counted. Large blocks ask the system for huge pages.
class Memory {
  public:
    Memory() = default;
    // Null data() when the host has no memory left or size is 0.
    Memory(const rz_host &host, Counters &counters, uint64_t size);
    Memory(Memory &&other) noexcept { swap(other); }
    Memory &operator=(Memory &&other) noexcept {
        swap(other);
        return *this;
    }
    ~Memory();

    std::byte *data() const { return data_; }
    uint64_t size() const { return size_; }

  private:
    void swap(Memory &other) noexcept;

    const rz_host *host_ = nullptr;
    Counters *counters_ = nullptr;
    std::byte *data_ = nullptr;
    uint64_t size_ = 0;
};

constexpr uint64_t kAlignment = 64; // a cache line; also of bound buffer offsets

using plugin::align_up;
constexpr uint64_t align_up(uint64_t n) { return align_up(n, kAlignment); }

} // namespace realizar::cpu
