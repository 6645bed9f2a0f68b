// Temperature and energy: the kernel's sensors and NVIDIA's management library (NVML API reference).
#include "bench/environment.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace realizar::bench {
namespace {

namespace fs = std::filesystem;

std::optional<double> number_in(const fs::path &path) {
    std::ifstream file(path);
    double value = 0;
    return file >> value ? std::optional(value) : std::nullopt;
}

// Files below `folder` whose entry and name fit, e.g. thermal_zone*/temp.
std::vector<fs::path> sensor_files(const char *folder, const char *entry, const char *name) {
    std::vector<fs::path> files;
    std::error_code error;
    for (const fs::directory_entry &found : fs::directory_iterator(folder, error)) {
        if (!found.path().filename().string().starts_with(entry)) continue;
        const fs::path file = found.path() / name;
        if (number_in(file)) files.push_back(file);
    }
    return files;
}

void larger(std::optional<double> &most, std::optional<double> value) {
    if (value && (!most || *value > *most)) most = value;
}

// The few functions of the library that are used; handles are opaque pointers.
class Nvml {
  public:
    Nvml() {
        library_ = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
        if (!library_) return;
        find(init_, "nvmlInit_v2");
        find(shutdown_, "nvmlShutdown");
        find(by_uuid_, "nvmlDeviceGetHandleByUUID");
        find(temperature_, "nvmlDeviceGetTemperature");
        find(energy_, "nvmlDeviceGetTotalEnergyConsumption");
        ready_ = init_ && shutdown_ && by_uuid_ && temperature_ && energy_ && init_() == 0;
    }
    ~Nvml() {
        if (ready_) shutdown_();
        if (library_) dlclose(library_);
    }
    Nvml(const Nvml &) = delete;
    Nvml &operator=(const Nvml &) = delete;

    // nullptr: not a GPU of this library.
    void *device(const std::array<uint8_t, 16> &uuid) const {
        std::string text = "GPU-";
        char pair[3];
        for (size_t i = 0; i < uuid.size(); ++i) {
            if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
            std::snprintf(pair, sizeof pair, "%02x", uuid[i]);
            text += pair;
        }
        void *handle = nullptr;
        return ready_ && by_uuid_(text.c_str(), &handle) == 0 ? handle : nullptr;
    }
    std::optional<double> temperature(void *device) const {
        constexpr int kCore = 0; // NVML_TEMPERATURE_GPU
        unsigned degrees = 0;
        if (temperature_(device, kCore, &degrees) != 0) return std::nullopt;
        return degrees;
    }
    std::optional<double> joules(void *device) const {
        unsigned long long millijoules = 0;
        if (energy_(device, &millijoules) != 0) return std::nullopt;
        return static_cast<double>(millijoules) / 1e3;
    }

  private:
    template <class F>
    void find(F &function, const char *name) {
        function = reinterpret_cast<F>(dlsym(library_, name));
    }
    void *library_ = nullptr;
    bool ready_ = false;
    int (*init_)() = nullptr;
    int (*shutdown_)() = nullptr;
    int (*by_uuid_)(const char *, void **) = nullptr;
    int (*temperature_)(void *, int, unsigned *) = nullptr;
    int (*energy_)(void *, unsigned long long *) = nullptr;
};

class MachineSensors : public Sensors {
  public:
    explicit MachineSensors(std::span<const std::array<uint8_t, 16>> gpus)
        : zones_(sensor_files("/sys/class/thermal", "thermal_zone", "temp")),
          chips_(sensor_files("/sys/class/hwmon", "hwmon", "temp1_input")),
          packages_(sensor_files("/sys/class/powercap", "intel-rapl:", "energy_uj")) {
        // "intel-rapl:0:1" is a part of package "intel-rapl:0" and would count twice.
        std::erase_if(packages_, [](const fs::path &path) {
            const std::string name = path.parent_path().filename().string();
            return std::ranges::count(name, ':') > 1;
        });
        for (const auto &uuid : gpus)
            if (void *device = nvml_.device(uuid)) gpus_.push_back(device);
    }

    std::optional<double> temperature() override {
        std::optional<double> most;
        for (const fs::path &file : zones_)
            larger(most, millidegrees(file));
        for (const fs::path &file : chips_)
            larger(most, millidegrees(file));
        for (void *gpu : gpus_)
            larger(most, nvml_.temperature(gpu));
        return most;
    }

    std::optional<double> joules() override {
        std::optional<double> sum;
        for (void *gpu : gpus_)
            if (const auto value = nvml_.joules(gpu)) sum = sum.value_or(0) + *value;
        if (!gpus_.empty()) return sum;
        for (const fs::path &file : packages_)
            if (const auto microjoules = number_in(file))
                sum = sum.value_or(0) + *microjoules / 1e6;
        return sum;
    }

  private:
    static std::optional<double> millidegrees(const fs::path &file) {
        const auto value = number_in(file);
        return value ? std::optional(*value / 1e3) : std::nullopt;
    }
    Nvml nvml_;
    std::vector<void *> gpus_;
    std::vector<fs::path> zones_, chips_, packages_;
};

} // namespace

std::unique_ptr<Sensors> machine_sensors(std::span<const std::array<uint8_t, 16>> gpus) {
    return std::make_unique<MachineSensors>(gpus);
}

} // namespace realizar::bench
