// How much memory a placement takes on each device, and how much there is.
#pragma once

#include "core/scheduler/placement.h"

#include <optional>
#include <span>
#include <vector>

namespace realizar {

struct MemoryNeed {
    uint64_t weights = 0, states = 0; // bytes
    uint64_t total() const { return weights + states; }
};

// Of nodes [begin, end).
Result<MemoryNeed> memory_of_part(const Graph &graph, size_t begin, size_t end,
                                  const DevicePtr &device);

// By device, of regions that are placed so; those of equal bounds on one device share their weights,
// and states are at one place for all variants.
Result<std::vector<MemoryNeed>> memory_of(std::span<const Graph> variants,
                                          std::span<const Placement> placements,
                                          const std::vector<DevicePtr> &devices);

// What weights and states may take on the device: limits[device], or what it says is free where that
// is 0 or absent. 0: not known.
uint64_t memory_limit(const std::vector<DevicePtr> &devices, std::span<const uint64_t> limits,
                      size_t device);

// By device, what is left of the limits for each of its regions; nothing where limits[device] is 0 or absent.
Result<std::vector<std::optional<uint64_t>>> spare_memory(std::span<const Graph> variants,
                                                          std::span<const Placement> placements,
                                                          const std::vector<DevicePtr> &devices,
                                                          std::span<const uint64_t> limits);

// Whether all that is placed so fits; tag model_too_large.
Status check_memory(std::span<const Graph> variants, std::span<const Placement> placements,
                    const std::vector<DevicePtr> &devices, std::span<const uint64_t> limits);

} // namespace realizar
