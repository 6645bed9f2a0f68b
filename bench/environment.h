// The machine that a result comes from, as far as it can be read without privileges.
#pragma once

#include "bench/workload.h"

#include <nlohmann/json.hpp>

#include <array>
#include <memory>
#include <span>

namespace realizar::bench {

using Json = nlohmann::ordered_json;

// {"cpu", "cores", "cpu_flags", "governor", "memory_gb", "kernel", "system", "compiler"}; null where
// the system does not tell.
Json environment_json();

// Hottest part and energy of the machine: sensors of the kernel (/sys/class/thermal, hwmon, powercap)
// and, for the GPUs with these UUIDs, NVIDIA's management library if it is installed (opened at run
// time). Energy is that of the GPUs if there are any, else of the CPU packages.
std::unique_ptr<Sensors> machine_sensors(std::span<const std::array<uint8_t, 16>> gpus);

// Highest resident size of this process so far, or since reset, in bytes; nullopt where unknown.
std::optional<uint64_t> peak_resident_bytes();
void reset_peak_resident(); // nothing where the kernel does not allow it

// Lower-case hexadecimal SHA-256.
std::string sha256(std::span<const std::byte> data);
Result<std::string> sha256_of_file(const std::string &path); // tag: open_failed

} // namespace realizar::bench
