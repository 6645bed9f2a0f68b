// The host services of the kit: counted, and able to fail on purpose.
#pragma once

#include "realizar/backend.h"

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace realizar::ctk {

class KitHost {
  public:
    KitHost();
    KitHost(const KitHost &) = delete;
    KitHost &operator=(const KitHost &) = delete;

    rz_host *table() { return &table_; }
    uint64_t allocated() const { return allocated_; } // blocks handed out and not freed
    uint64_t allocation_calls() const { return calls_; }
    // The alloc call with this number (counted from now, 0 is the next) and all later ones fail.
    void fail_allocations_after(uint64_t calls) { calls_left_ = static_cast<int64_t>(calls); }
    void allow_allocations() { calls_left_ = -1; }
    void cancel(bool on) { cancelled_ = on; }

  private:
    static KitHost &of(void *self) { return *static_cast<KitHost *>(self); }
    static void *alloc(void *self, uint64_t size, uint64_t align);
    static void free(void *self, void *memory);
    static rz_code cache_get(void *self, const char *key, void *data, uint64_t *size);
    static rz_code cache_put(void *self, const char *key, const void *data, uint64_t size);

    rz_host table_{};
    std::atomic<uint64_t> allocated_{0}, calls_{0};
    std::atomic<int64_t> calls_left_{-1};
    std::atomic<uint32_t> cancelled_{0};
    std::mutex cache_mutex_;
    std::map<std::string, std::vector<uint8_t>> cache_;
};

} // namespace realizar::ctk
