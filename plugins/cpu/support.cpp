#include "plugins/cpu/support.h"

#include <sys/mman.h>
#include <utility>

namespace realizar::cpu {

namespace {
constexpr uint64_t kHugePage = uint64_t{2} << 20;
}

Memory::Memory(const rz_host &host, Counters &counters, uint64_t size)
    : host_(&host), counters_(&counters) {
    if (size == 0) return;
    const bool large = size >= 2 * kHugePage;
    data_ = static_cast<std::byte *>(host.alloc(host.self, size, large ? kHugePage : kAlignment));
    if (!data_) return;
    size_ = size;
    if (large) madvise(data_, size / kHugePage * kHugePage, MADV_HUGEPAGE); // a hint: may fail
    counters.allocations.fetch_add(1, std::memory_order_relaxed);
    const uint64_t used = counters.memory_used.fetch_add(size, std::memory_order_relaxed) + size;
    uint64_t peak = counters.memory_peak.load(std::memory_order_relaxed);
    while (peak < used &&
           !counters.memory_peak.compare_exchange_weak(peak, used, std::memory_order_relaxed)) {
    }
}

Memory::~Memory() {
    if (!data_) return;
    host_->free(host_->self, data_);
    counters_->memory_used.fetch_sub(size_, std::memory_order_relaxed);
}

void Memory::swap(Memory &other) noexcept {
    std::swap(host_, other.host_);
    std::swap(counters_, other.counters_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
}

} // namespace realizar::cpu
