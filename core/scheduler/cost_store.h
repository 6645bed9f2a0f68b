// What parts of models took on devices, kept between runs.
#pragma once

#include "core/common/result.h"
#include "core/plugin/device.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace realizar {

// A measured time. `spread` is the standard error of the median, as a part of it.
struct Cost {
    double seconds = 0;
    double spread = 0;
    uint32_t runs = 0;
};

// Median of the samples that are within three deviations of it, where the deviation is that of a
// normal distribution with their median absolute deviation. At least one sample.
Cost robust_cost(std::span<const double> seconds);

// What it takes to hand work and values to a device and to get them back.
struct LinkCost {
    double launch = 0; // seconds of a submission that does next to nothing, and of the wait for it
    double in = 0, out = 0; // seconds per byte from the host and to the host
};

// Which device it is, in which state of its software: costs hold as long as this text is the same.
std::string device_identity(const Device &device, uint32_t threads);
std::string device_identity(const std::string &label, const std::string &version,
                            const std::string &build, const rz_device_info &info, uint32_t threads);

// Costs by device identity, signature of a part (Graph::hash) and symbol values of a step. Not
// thread-safe.
class CostStore {
  public:
    CostStore() = default; // in memory only
    // What the file has; nothing if it is missing, damaged, of another version or writable by others.
    explicit CostStore(std::filesystem::path file);

    const Cost *find(const std::string &device, uint64_t signature,
                     const std::string &bucket) const;
    const LinkCost *find_link(const std::string &device) const;
    void put(const std::string &device, uint64_t signature, const std::string &bucket, Cost cost);
    void put_link(const std::string &device, LinkCost link);
    // Which devices (labels) were chosen for something that is known by this name; nullptr: not yet.
    const std::vector<std::string> *decision(const std::string &name) const;
    void decide(const std::string &name, std::vector<std::string> devices);
    // Writes everything, with what other processes have added since; does nothing without a file or
    // without news.
    Status save();

  private:
    struct Record {
        LinkCost link;
        bool linked = false;
        bool fresh = false;                // measured by this process
        std::map<std::string, Cost> costs; // by "signature@bucket"
    };
    void read();

    bool news_ = false;
    std::map<std::string, std::vector<std::string>> decisions_;
    std::filesystem::path file_;
    std::map<std::string, Record> devices_;
};

} // namespace realizar
