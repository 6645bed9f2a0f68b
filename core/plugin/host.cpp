#include "core/plugin/host.h"

#include "core/plugin/blob_cache.h"
#include "core/quant/lend.h"

#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>

#include <sched.h>

namespace realizar {

namespace {

constexpr uint32_t kMaxThreads = 4096;

// Placed right before the memory that the plugin sees.
struct AllocationHeader {
    void *base;
    uint64_t size;
};

uint32_t cores_of_this_process() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    const int count = CPU_COUNT(&set);
    return count > 0 ? static_cast<uint32_t>(count) : 1;
}

} // namespace

struct Host::State {
    // The `self` of one plugin's table.
    struct Client {
        State *host = nullptr;
        std::string plugin;
        BlobCache cache;
        rz_host table{};
    };

    HostOptions options;
    uint32_t threads = 1;
    std::atomic<bool> cancelled{false};
    std::atomic<uint64_t> allocated{0};

    std::mutex mutex; // guards what follows; never held while foreign code runs
    std::map<std::string, std::unique_ptr<Client>> clients;
    rz_driver *pool_driver = nullptr;
    const rz_ext_compute_pool *pool = nullptr;

    void run(uint64_t n, uint64_t grain, rz_range_fn fn, void *context);

    static Client &client(void *self) { return *static_cast<Client *>(self); }
    static void log(void *self, uint32_t level, const char *message);
    static void *alloc(void *self, uint64_t size, uint64_t align);
    static void free(void *self, void *memory);
    static void parallel_for(void *self, uint64_t n, uint64_t grain, rz_range_fn fn, void *context);
    static uint32_t thread_budget(void *self);
    static rz_code cache_get(void *self, const char *key, void *data, uint64_t *size);
    static rz_code cache_put(void *self, const char *key, const void *data, uint64_t size);
    static uint32_t is_cancelled(void *self);
    static const void *get_extension(void *self, const char *id);
};

// The functions below are called by foreign C code: nothing may leave them but a return value.

void Host::State::log(void *self, uint32_t level, const char *message) {
    const Client &plugin = client(self);
    if (!message || !plugin.host->options.log) return;
    constexpr size_t kMaxMessage = 4096;
    try {
        const std::string_view text(message, strnlen(message, kMaxMessage));
        plugin.host->options.log(level, plugin.plugin, printable(text, kMaxMessage));
    } catch (...) { // out of memory while telling something: the message is lost
    }
}

void *Host::State::alloc(void *self, uint64_t size, uint64_t align) {
    if (!std::has_single_bit(align)) return nullptr;
    if (align < alignof(std::max_align_t)) align = alignof(std::max_align_t);
    const uint64_t extra = align + sizeof(AllocationHeader);
    if (align > UINT64_MAX / 4 || size > UINT64_MAX / 2 - extra) return nullptr;
    auto *base = static_cast<std::byte *>(std::malloc(size + extra));
    if (!base) return nullptr;
    auto address = reinterpret_cast<uintptr_t>(base) + sizeof(AllocationHeader);
    address = (address + align - 1) & ~(align - 1);
    auto *memory = reinterpret_cast<std::byte *>(address);
    const AllocationHeader header{base, size};
    std::memcpy(memory - sizeof header, &header, sizeof header);
    client(self).host->allocated += size;
    return memory;
}

void Host::State::free(void *self, void *memory) {
    if (!memory) return;
    AllocationHeader header;
    std::memcpy(&header, static_cast<std::byte *>(memory) - sizeof header, sizeof header);
    client(self).host->allocated -= header.size;
    std::free(header.base);
}

void Host::State::run(uint64_t n, uint64_t grain, rz_range_fn fn, void *context) {
    rz_driver *driver = nullptr;
    const rz_ext_compute_pool *threads_of = nullptr;
    {
        const std::lock_guard lock(mutex);
        driver = pool_driver;
        threads_of = pool;
    }
    if (n == 0) return;
    if (threads_of) {
        threads_of->parallel_for(driver, n, grain, fn, context);
        return;
    }
    if (grain == 0) grain = n;
    for (uint64_t begin = 0; begin < n;) {
        const uint64_t end = n - begin > grain ? begin + grain : n;
        fn(context, begin, end);
        begin = end;
    }
}

void Host::State::parallel_for(void *self, uint64_t n, uint64_t grain, rz_range_fn fn,
                               void *context) {
    client(self).host->run(n, grain, fn, context);
}

uint32_t Host::State::thread_budget(void *self) { return client(self).host->threads; }

rz_code Host::State::cache_get(void *self, const char *key, void *data, uint64_t *size) {
    if (!key || !size || (!data && *size > 0)) return RZ_INVALID_ARGUMENT;
    try {
        const uint64_t room = *size;
        const Result<std::vector<std::byte>> blob = client(self).cache.get(key);
        if (!blob.ok()) return RZ_UNAVAILABLE;
        *size = blob->size();
        if (blob->size() > room) return RZ_BUSY;
        if (!blob->empty()) std::memcpy(data, blob->data(), blob->size());
        return RZ_OK;
    } catch (...) {
        return RZ_UNAVAILABLE;
    }
}

rz_code Host::State::cache_put(void *self, const char *key, const void *data, uint64_t size) {
    if (!key || (!data && size > 0)) return RZ_INVALID_ARGUMENT;
    try {
        const std::span blob(static_cast<const std::byte *>(data), size);
        return client(self).cache.put(key, blob).ok() ? RZ_OK : RZ_UNAVAILABLE;
    } catch (...) {
        return RZ_UNAVAILABLE;
    }
}

uint32_t Host::State::is_cancelled(void *self) { return client(self).host->cancelled ? 1 : 0; }

const void *Host::State::get_extension(void *, const char *id) {
    return id && std::strcmp(id, RZ_EXT_DECODE) == 0 ? lent_decoders() : nullptr;
}

Host::Host(HostOptions options) : state_(std::make_unique<State>()) {
    state_->threads =
        options.threads ? std::min(options.threads, kMaxThreads) : cores_of_this_process();
    state_->options = std::move(options);
}

Host::~Host() = default;

const rz_host *Host::table(const std::string &plugin_id) {
    const std::lock_guard lock(state_->mutex);
    std::unique_ptr<State::Client> &client = state_->clients[plugin_id];
    if (!client) {
        client = std::make_unique<State::Client>();
        client->host = state_.get();
        client->plugin = plugin_id;
        client->cache = BlobCache(state_->options.cache_folder, plugin_id);
        client->table = {
            .struct_size = sizeof(rz_host),
            .flags = 0,
            .self = client.get(),
            .log = State::log,
            .alloc = State::alloc,
            .free = State::free,
            .parallel_for = State::parallel_for,
            .thread_budget = State::thread_budget,
            .cache_get = State::cache_get,
            .cache_put = State::cache_put,
            .cancelled = State::is_cancelled,
            .get_extension = State::get_extension,
        };
    }
    return &client->table;
}

void Host::cancel(bool on) { state_->cancelled = on; }

void Host::parallel_for(uint64_t n, uint64_t grain, rz_range_fn fn, void *context) {
    state_->run(n, grain, fn, context);
}

void Host::use_pool(rz_driver *driver, const rz_ext_compute_pool *pool) {
    const std::lock_guard lock(state_->mutex);
    const bool usable =
        pool && RZ_HAS(pool, rz_ext_compute_pool, parallel_for) && pool->parallel_for;
    state_->pool_driver = usable ? driver : nullptr;
    state_->pool = usable ? pool : nullptr;
}

uint32_t Host::threads() const { return state_->threads; }

uint64_t Host::allocated() const { return state_->allocated; }

} // namespace realizar
