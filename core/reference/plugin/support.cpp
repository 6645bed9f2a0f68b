#include "core/reference/plugin/support.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <utility>

namespace realizar::reference {
namespace {

rz_code code_of(Code code) {
    switch (code) {
    case Code::unsupported: return RZ_UNSUPPORTED;
    case Code::unavailable: return RZ_UNAVAILABLE;
    case Code::out_of_memory: return RZ_OUT_OF_MEMORY;
    case Code::cancelled: return RZ_CANCELLED;
    case Code::timeout: return RZ_TIMEOUT;
    case Code::device_lost: return RZ_DEVICE_LOST;
    case Code::internal: return RZ_INTERNAL;
    default: return RZ_INVALID_ARGUMENT;
    }
}

} // namespace

rz_code fail(rz_error *err, rz_code code, const char *format, ...) {
    if (err == nullptr || err->struct_size < sizeof(rz_error)) return code;
    err->flags = 0;
    err->code = code;
    err->native_code = 0;
    err->node = RZ_NONE;
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    return code;
}

rz_code fail(rz_error *err, const Error &error) {
    return fail(err, code_of(error.code), "%s", error.message.c_str());
}

HostMemory::HostMemory(const rz_host &host, Counters &counters, uint64_t size)
    : host_(&host), counters_(&counters), size_(size) {
    if (size == 0) return;
    data_ = static_cast<std::byte *>(host.alloc(host.self, size, kAlignment));
    if (data_ == nullptr) throw std::bad_alloc();
    std::memset(data_, 0, size);
    counters.allocations += 1;
    const uint64_t used = counters.memory_used += size;
    uint64_t peak = counters.memory_peak;
    while (peak < used && !counters.memory_peak.compare_exchange_weak(peak, used)) {
    }
}

HostMemory::~HostMemory() {
    if (data_ == nullptr) return;
    host_->free(host_->self, data_);
    counters_->memory_used -= size_;
}

void HostMemory::grow(const rz_host &host, Counters &counters, uint64_t size) {
    if (size <= size_) return;
    HostMemory larger(host, counters, size);
    if (size_ > 0) std::memcpy(larger.data_, data_, size_);
    swap(larger);
}

void HostMemory::swap(HostMemory &other) noexcept {
    std::swap(host_, other.host_);
    std::swap(counters_, other.counters_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
}

} // namespace realizar::reference
