#include "plugins/opencl/clblast/choices.h"

#include "plugins/opencl/cl/cache.h"
#include "plugins/opencl/cl/programs.h"

#include <cstdio>
#include <cstring>

namespace realizar::opencl {

Choices::Choices(Gpu &gpu) : gpu_(gpu) {
    const Physical &physical = gpu.physical();
    const char *name = gpu.clblast() ? gpu.clblast()->name().c_str() : "";
    where_ = hash(expand_source("matmul_tile.cl"), hash(name));
    where_ = hash(std::to_string(physical.features.slice_bytes), where_);
    where_ = hash(physical.name, hash(physical.driver, where_));
}

std::string Choices::key(const std::string &product) const {
    char key[64];
    std::snprintf(key, sizeof(key), "opencl-times-%016llx-%016llx", wide(hash(product)),
                  wide(where_));
    return key;
}

std::optional<Times> Choices::find(const std::string &product) {
    const std::lock_guard lock(mutex_);
    if (const auto found = known_.find(product); found != known_.end()) return found->second;
    const auto entry = read_cache(gpu_.host(), key(product).c_str());
    if (entry.size() != sizeof(Times)) return std::nullopt;
    Times times = {};
    std::memcpy(&times, entry.data(), sizeof(times));
    return known_[product] = times;
}

void Choices::keep(const std::string &product, const Times &times) {
    const std::lock_guard lock(mutex_);
    known_[product] = times;
    write_cache(gpu_.host(), key(product).c_str(),
                {reinterpret_cast<const char *>(&times), sizeof(times)});
    char line[160];
    std::snprintf(line, sizeof(line), "opencl: product %s: own kernel %.2f ms, CLBlast %.2f ms",
                  product.c_str(), static_cast<double>(times.own) * 1e-6,
                  static_cast<double>(times.clblast) * 1e-6);
    gpu_.host().log(gpu_.host().self, RZ_LOG_INFO, line);
}

} // namespace realizar::opencl
