// Level 0, the driver: enumeration, and lives that leave nothing behind.
#include "tools/ctk/levels.h"
#include "tools/ctk/process_facts.h"
#include "tools/ctk/session.h"

#include <cstring>
#include <set>

namespace realizar::ctk {
namespace {

// Leaks are judged over this many lives, after a few that may fill caches.
constexpr int kWarmLives = 10;
constexpr int kLives = 100;
// Growth that is not a leak of every life: an allocator's own bookkeeping.
constexpr uint64_t kHeapSlack = kLives * 16;
constexpr uint64_t kMappedSlack = 64ull << 20;

struct OpenDriver {
    KitHost host;
    Owned<rz_driver> handle{nullptr, nullptr};
    const rz_plugin *api = nullptr;
};

Status open_driver(Context &context, OpenDriver &out) {
    RZ_ASSIGN(Library * library, context.library());
    RZ_ASSIGN(out.api, library->table());
    rz_driver *handle = nullptr;
    AbiError error;
    const rz_code code = out.api->driver->create(out.host.table(), &handle, &error);
    if (code == RZ_UNAVAILABLE) {
        RZ_TRY(expect_refused(code, RZ_UNAVAILABLE, error, "driver.create"));
        return unsupported("no driver here: " + describe(code, error));
    }
    RZ_TRY(expect_ok(code, error, "driver.create"));
    CTK_CHECK(handle != nullptr, "driver.create: RZ_OK and a NULL handle");
    out.handle = {handle, out.api->driver->destroy};
    return {};
}

Status creates_with_null_error(Context &context) {
    RZ_ASSIGN(Library * library, context.library());
    RZ_ASSIGN(const rz_plugin *api, library->table());
    KitHost host;
    rz_driver *driver = nullptr;
    const rz_code code = api->driver->create(host.table(), &driver, nullptr);
    CTK_CHECK(code == RZ_OK || code == RZ_UNAVAILABLE, "driver.create with NULL err: found %s",
              abi_code_name(code).c_str());
    if (code == RZ_OK) api->driver->destroy(driver);
    return {};
}

Status destroys_null(Context &context) {
    RZ_ASSIGN(Library * library, context.library());
    RZ_ASSIGN(const rz_plugin *api, library->table());
    api->instance->destroy(nullptr);
    api->program->destroy(nullptr);
    api->weights->destroy(nullptr);
    api->buffer->destroy(nullptr);
    api->queue->destroy(nullptr);
    api->timeline->destroy(nullptr);
    api->device->close(nullptr);
    api->driver->destroy(nullptr);
    return {};
}

Status one_life(Context &context, bool with_device) {
    OpenDriver driver;
    RZ_TRY(open_driver(context, driver));
    if (!with_device) return {};
    RZ_ASSIGN(const auto infos, enumerate(*driver.api, driver.handle.get()));
    if (infos.size() <= context.target().device) return unsupported("no device here");
    rz_device *device = nullptr;
    AbiError error;
    RZ_TRY(expect_ok(
        driver.api->driver->open(driver.handle.get(), context.target().device, &device, &error),
        error, "driver.open"));
    const Owned<rz_device> owner(device, driver.api->device->close);
    rz_buffer *buffer = nullptr;
    RZ_TRY(expect_ok(driver.api->buffer->create(device, 1000, &buffer, &error), error,
                     "buffer.create"));
    driver.api->buffer->destroy(buffer);
    rz_timeline *timeline = nullptr;
    RZ_TRY(expect_ok(driver.api->timeline->create(device, 0, &timeline, &error), error,
                     "timeline.create"));
    driver.api->timeline->destroy(timeline);
    rz_queue *queue = nullptr;
    RZ_TRY(expect_ok(driver.api->queue->create(device, &queue, &error), error, "queue.create"));
    driver.api->queue->destroy(queue);
    return {};
}

// Files and threads must come back exactly; memory may grow once but not life after life, so growth
// counts only if a second series grows as well.
Status leaves_nothing(Context &context, bool with_device) {
    for (int i = 0; i < kWarmLives; ++i)
        RZ_TRY(one_life(context, with_device));
    uint64_t heap_growth = UINT64_MAX, mapped_growth = UINT64_MAX;
    for (int series = 0; series < 2; ++series) {
        const ProcessFacts before = process_facts();
        for (int i = 0; i < kLives; ++i)
            RZ_TRY(one_life(context, with_device));
        const size_t threads = threads_settled_to(before.threads);
        CTK_CHECK(threads <= before.threads, "%d lives left %zu threads", kLives,
                  threads - before.threads);
        const ProcessFacts after = process_facts();
        CTK_CHECK(after.files <= before.files, "%d lives left %zu open files", kLives,
                  after.files - before.files);
        heap_growth = std::min(heap_growth, after.heap - std::min(before.heap, after.heap));
        mapped_growth =
            std::min(mapped_growth, after.mapped - std::min(before.mapped, after.mapped));
    }
    CTK_CHECK(heap_growth <= kHeapSlack, "%d lives left %llu bytes on the heap", kLives,
              static_cast<unsigned long long>(heap_growth));
    CTK_CHECK(mapped_growth <= kMappedSlack, "%d lives left %llu bytes mapped", kLives,
              static_cast<unsigned long long>(mapped_growth));
    return {};
}

Status returns_host_memory(Context &context) {
    OpenDriver driver;
    RZ_TRY(open_driver(context, driver));
    driver.handle.reset();
    CTK_CHECK(driver.host.allocated() == 0, "driver.destroy left %llu blocks of rz_host.alloc",
              static_cast<unsigned long long>(driver.host.allocated()));
    return {};
}

Status prints_nothing(Context &context) {
    const uint64_t printed = bytes_in(context.target().output);
    RZ_TRY(one_life(context, true));
    CTK_CHECK(bytes_in(context.target().output) == printed,
              "driver and device printed to stdout or stderr; text goes to rz_host.log");
    return {};
}

// A caller of a later version: infos are larger and further apart than this header's.
Status enumerates_with_larger_stride(Context &context) {
    OpenDriver driver;
    RZ_TRY(open_driver(context, driver));
    RZ_ASSIGN(const auto plain, enumerate(*driver.api, driver.handle.get()));
    if (plain.empty()) return unsupported("no device here");
    constexpr uint32_t kExtra = 72;
    constexpr uint32_t kStride = sizeof(rz_device_info) + kExtra;
    std::vector<uint64_t> memory((plain.size() * kStride + 7) / 8, 0xABABABABABABABABull);
    auto *bytes = reinterpret_cast<uint8_t *>(memory.data());
    for (size_t i = 0; i < plain.size(); ++i) {
        std::memset(bytes + i * kStride, 0, sizeof(rz_device_info));
        const uint32_t size = kStride;
        std::memcpy(bytes + i * kStride, &size, sizeof size);
    }
    uint32_t count = static_cast<uint32_t>(plain.size());
    AbiError error;
    RZ_TRY(expect_ok(driver.api->driver->enumerate(driver.handle.get(),
                                                   reinterpret_cast<rz_device_info *>(bytes),
                                                   kStride, &count, &error),
                     error, "driver.enumerate with a larger stride"));
    for (size_t i = 0; i < plain.size(); ++i) {
        rz_device_info info;
        std::memcpy(&info, bytes + i * kStride, sizeof info);
        CTK_CHECK(std::strncmp(info.id, plain[i].id, sizeof info.id) == 0,
                  "driver.enumerate with a larger stride: device %zu is '%s', expected '%s'", i,
                  printable({info.id, strnlen(info.id, sizeof info.id)}).c_str(), plain[i].id);
        for (uint32_t j = 0; j < kExtra; ++j)
            CTK_CHECK(bytes[i * kStride + sizeof info + j] == 0xAB,
                      "driver.enumerate wrote past the fields that ABI %u.%u knows", RZ_ABI_MAJOR,
                      RZ_ABI_MINOR);
    }
    return {};
}

Status enumerates_with_small_count(Context &context) {
    OpenDriver driver;
    RZ_TRY(open_driver(context, driver));
    RZ_ASSIGN(const auto plain, enumerate(*driver.api, driver.handle.get()));
    if (plain.empty()) return unsupported("no device here");
    std::vector<rz_device_info> infos(plain.size());
    std::memset(infos.data(), 0xAB, infos.size() * sizeof infos[0]);
    const size_t room = plain.size() - 1;
    for (size_t i = 0; i < room; ++i)
        infos[i].struct_size = sizeof infos[i];
    uint32_t count = static_cast<uint32_t>(room);
    AbiError error;
    RZ_TRY(expect_ok(driver.api->driver->enumerate(driver.handle.get(), infos.data(),
                                                   sizeof(rz_device_info), &count, &error),
                     error, "driver.enumerate with a small count"));
    CTK_CHECK(count == plain.size(),
              "driver.enumerate with a small count: expected the count %zu, "
              "found %u",
              plain.size(), count);
    const auto *last = reinterpret_cast<const uint8_t *>(&infos[room]);
    for (size_t j = 0; j < sizeof infos[room]; ++j)
        CTK_CHECK(last[j] == 0xAB, "driver.enumerate wrote past the count that it was given");
    return {};
}

Status ended(const char *name, const char *text, size_t size) {
    CTK_CHECK(strnlen(text, size) < size, "rz_device_info.%s: no terminating NUL", name);
    return {};
}

Status infos_are_sane(Context &context) {
    OpenDriver driver;
    RZ_TRY(open_driver(context, driver));
    RZ_ASSIGN(const auto infos, enumerate(*driver.api, driver.handle.get()));
    if (infos.empty()) return unsupported("no device here");
    std::set<std::string> ids;
    for (const rz_device_info &info : infos) {
        CTK_CHECK(info.struct_size >= sizeof info, "rz_device_info.struct_size was set to %u",
                  info.struct_size);
        RZ_TRY(ended("id", info.id, sizeof info.id));
        RZ_TRY(ended("name", info.name, sizeof info.name));
        RZ_TRY(ended("driver", info.driver, sizeof info.driver));
        RZ_TRY(ended("isa", info.isa, sizeof info.isa));
        CTK_CHECK(info.id[0] != 0 && info.name[0] != 0, "rz_device_info: id and name are empty");
        CTK_CHECK(ids.insert(info.id).second, "two devices have the id '%s'",
                  printable(info.id).c_str());
        CTK_CHECK(info.kind >= RZ_DEVICE_CPU && info.kind <= RZ_DEVICE_ACCELERATOR,
                  "rz_device_info.kind: expected RZ_DEVICE_*, found %u", info.kind);
        CTK_CHECK(info.alignment > 0 && (info.alignment & (info.alignment - 1)) == 0 &&
                      info.alignment <= 1 << 20,
                  "rz_device_info.alignment: expected a power of two, found %llu",
                  static_cast<unsigned long long>(info.alignment));
        CTK_CHECK(info.memory_total == 0 || info.memory_free <= info.memory_total,
                  "rz_device_info: more memory free than there is");
    }
    AbiError error;
    rz_device *device = nullptr;
    const auto count = static_cast<uint32_t>(infos.size());
    return expect_refused(driver.api->driver->open(driver.handle.get(), count, &device, &error),
                          RZ_INVALID_ARGUMENT, error, "driver.open past the last device");
}

} // namespace

void add_driver_cases(CaseList &cases) {
    const auto add = [&](const char *name, std::function<Status(Context &)> test) {
        cases.push_back({0, "driver", "", name, std::move(test)});
    };
    add("null-error", creates_with_null_error);
    add("destroy-null", destroys_null);
    add("enumerate-stride", enumerates_with_larger_stride);
    add("enumerate-small-count", enumerates_with_small_count);
    add("device-info", infos_are_sane);
    add("host-memory", returns_host_memory);
    add("quiet", prints_nothing);
    add("lives-driver", [](Context &context) { return leaves_nothing(context, false); });
    add("lives-device", [](Context &context) { return leaves_nothing(context, true); });
}

} // namespace realizar::ctk
