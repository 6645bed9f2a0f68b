#include "plugins/cpu/support.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <sys/mman.h>
#include <utility>

namespace realizar::cpu {

rz_code fail(rz_error *err, rz_code code, uint32_t node, const char *format, ...) {
    if (!err || err->struct_size < sizeof(rz_error)) return code;
    err->code = code;
    err->native_code = 0;
    err->node = node;
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(err->message, sizeof(err->message), format, arguments);
    va_end(arguments);
    return code;
}

rz_code check_struct(const void *data, size_t least, uint32_t known, const char *what,
                     rz_error *err) {
    if (!data) return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "expected %s, found NULL", what);
    uint32_t head[2]; // every struct starts with struct_size and flags
    std::memcpy(head, data, sizeof(head));
    if (head[0] < least)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "%s: expected at least %zu bytes, found %u",
                    what, least, head[0]);
    const uint32_t unknown = head[1] & 0xffffu & ~known;
    if (unknown)
        return fail(err, RZ_UNSUPPORTED, RZ_NONE, "%s: required flags 0x%x are not known", what,
                    unknown);
    return RZ_OK;
}

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
