#include "tools/ctk/host.h"

#include "core/quant/lend.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace realizar::ctk {
namespace {

constexpr uint64_t kLargestBlock = 1ull << 40;

} // namespace

KitHost::KitHost() {
    table_.struct_size = sizeof table_;
    table_.self = this;
    table_.log = [](void *, uint32_t, const char *) {};
    table_.alloc = alloc;
    table_.free = free;
    table_.parallel_for = [](void *, uint64_t n, uint64_t, rz_range_fn fn, void *context) {
        if (n > 0) fn(context, 0, n);
    };
    // At least two, so that races show even on one core.
    table_.thread_budget = [](void *) {
        return std::clamp(std::thread::hardware_concurrency(), 2u, 4u);
    };
    table_.cache_get = cache_get;
    table_.cache_put = cache_put;
    table_.cancelled = [](void *self) -> uint32_t { return of(self).cancelled_; };
    table_.get_extension = [](void *, const char *id) -> const void * {
        return std::strcmp(id, RZ_EXT_DECODE) == 0 ? lent_decoders() : nullptr;
    };
}

void *KitHost::alloc(void *self, uint64_t size, uint64_t align) {
    KitHost &host = of(self);
    ++host.calls_;
    if (host.calls_left_ >= 0 && host.calls_left_.fetch_sub(1) <= 0) {
        host.calls_left_ = 0;
        return nullptr;
    }
    if (align == 0 || (align & (align - 1)) != 0 || size > kLargestBlock) return nullptr;
    void *memory = nullptr;
    if (posix_memalign(&memory, std::max<uint64_t>(align, sizeof(void *)),
                       std::max<uint64_t>(size, 1)))
        return nullptr;
    // A plugin must not count on zeros from the allocator.
    std::memset(memory, 0xC5, size);
    ++host.allocated_;
    return memory;
}

void KitHost::free(void *self, void *memory) {
    if (memory == nullptr) return;
    --of(self).allocated_;
    std::free(memory);
}

rz_code KitHost::cache_get(void *self, const char *key, void *data, uint64_t *size) {
    KitHost &host = of(self);
    const std::lock_guard lock(host.cache_mutex_);
    const auto found = host.cache_.find(key);
    if (found == host.cache_.end()) return RZ_UNAVAILABLE;
    const uint64_t room = *size;
    *size = found->second.size();
    if (*size > 0 && data != nullptr)
        std::memcpy(data, found->second.data(), std::min(room, *size));
    return room < *size ? RZ_BUSY : RZ_OK;
}

rz_code KitHost::cache_put(void *self, const char *key, const void *data, uint64_t size) {
    KitHost &host = of(self);
    const std::lock_guard lock(host.cache_mutex_);
    const auto *bytes = static_cast<const uint8_t *>(data);
    host.cache_[key].assign(bytes, bytes + size);
    return RZ_OK;
}

} // namespace realizar::ctk
