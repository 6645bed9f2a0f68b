#include "plugins/cpu/driver.h"

#include "plugins/cpu/device.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <unistd.h>

rz_driver::rz_driver(const rz_host &services, const realizar::cpu::Kernels &table, unsigned threads)
    : host(services), kernels(table), decoders(nullptr), pool(threads) {
    if (!host.get_extension) return;
    const auto *lent =
        static_cast<const rz_ext_decode *>(host.get_extension(host.self, RZ_EXT_DECODE));
    if (lent && RZ_HAS(lent, rz_ext_decode, decode) && lent->decode) decoders = lent;
}

namespace realizar::cpu {

namespace {

constexpr unsigned kMaxThreads = 1024;

rz_code create(const rz_host *host, rz_driver **out, rz_error *err) {
    return guarded(err, [&] {
        rz_code code = check_struct(host, sizeof(rz_host), 0, "rz_host", err);
        if (code != RZ_OK) return code;
        if (!out) return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "driver.create: out is NULL");
        const Kernels *kernels;
        code = choose_kernels(&kernels, err);
        if (code != RZ_OK) return code;
        const unsigned threads =
            std::clamp<unsigned>(host->thread_budget(host->self), 1, kMaxThreads);
        *out = new rz_driver(*host, *kernels, threads);
        return RZ_OK;
    });
}

void destroy(rz_driver *driver) { delete driver; }

// The first line "key : value" of a file of the proc file system; empty if there is none.
std::string proc_value(const char *path, const std::string &key) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (line.compare(0, key.size(), key) != 0) continue;
        const size_t colon = line.find(':');
        const size_t begin = line.find_first_not_of(" \t", colon + 1);
        if (colon != std::string::npos && begin != std::string::npos) return line.substr(begin);
    }
    return {};
}

uint64_t available_memory() {
    // "MemAvailable:   12345 kB"
    return std::strtoull(proc_value("/proc/meminfo", "MemAvailable").c_str(), nullptr, 10) * 1024;
}

rz_device_info describe(const rz_driver &driver) {
    rz_device_info info = {};
    info.kind = RZ_DEVICE_CPU;
    info.caps = RZ_CAP_HOST_MEMORY;
    info.memory_total = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                        static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    info.memory_free = available_memory();
    info.alignment = kAlignment;
    std::snprintf(info.id, sizeof(info.id), "0");
    const std::string name = proc_value("/proc/cpuinfo", "model name");
    std::snprintf(info.name, sizeof(info.name), "%s", name.empty() ? "CPU" : name.c_str());
    std::snprintf(info.driver, sizeof(info.driver), "oneTBB, %u thread%s", driver.pool.threads(),
                  driver.pool.threads() == 1 ? "" : "s");
    std::snprintf(info.isa, sizeof(info.isa), "%s", driver.kernels.isa);
    return info;
}

rz_code enumerate(rz_driver *driver, rz_device_info *infos, uint32_t, uint32_t *count,
                  rz_error *err) {
    return guarded(err, [&] {
        if (!driver || !count)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "driver.enumerate: NULL argument");
        if (infos && *count > 0) {
            const rz_code code =
                check_struct(infos, sizeof(rz_device_info), 0xffff, "rz_device_info", err);
            if (code != RZ_OK) return code;
            fill_struct(infos, describe(*driver));
        }
        *count = 1;
        return RZ_OK;
    });
}

rz_code open(rz_driver *driver, uint32_t index, rz_device **out, rz_error *err) {
    return guarded(err, [&] {
        if (!driver || !out)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "driver.open: NULL argument");
        if (index != 0)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "driver.open: expected device 0, found %u", index);
        *out = new rz_device(*driver);
        return RZ_OK;
    });
}

// The host's ranges as pieces of `grain`.
struct RangeJob {
    uint64_t n, grain;
    rz_range_fn fn;
    void *context;

    static void piece(void *self, uint64_t i, unsigned) {
        const auto &job = *static_cast<const RangeJob *>(self);
        const uint64_t begin = i * job.grain;
        job.fn(job.context, begin, std::min(job.n, begin + job.grain));
    }
};

void parallel_for(rz_driver *driver, uint64_t n, uint64_t grain, rz_range_fn fn, void *context) {
    if (!driver || !fn || n == 0) return;
    RangeJob job{n, std::max<uint64_t>(grain, 1), fn, context};
    driver->pool.run((n - 1) / job.grain + 1, RangeJob::piece, &job);
}

} // namespace

const rz_driver_api kDriverApi = {sizeof(rz_driver_api), 0, create, destroy, enumerate, open};
const rz_ext_compute_pool kComputePool = {sizeof(rz_ext_compute_pool), 0, parallel_for};

} // namespace realizar::cpu
