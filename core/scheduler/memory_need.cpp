#include "core/scheduler/memory_need.h"

#include "core/scheduler/runner_state.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace realizar {

Result<MemoryNeed> memory_of_part(const Graph &graph, size_t begin, size_t end,
                                  const DevicePtr &device) {
    const Graph part = graph.extract(begin, end).graph;
    RZ_ASSIGN(const rz_weights_plan plan, Weights::plan(device, part.view()));
    MemoryNeed need{plan.resident + plan.scratch, 0};
    for (TensorId id = 0; id < part.tensors().size(); ++id) {
        const rz_tensor &tensor = part.tensors()[id];
        if (tensor.role == RZ_ROLE_STATE && tensor.storage == id)
            need.states += describe_tensor(tensor, id, id).fixed_bytes;
    }
    return need;
}

Result<std::vector<MemoryNeed>> memory_of(std::span<const Graph> variants,
                                          std::span<const Placement> placements,
                                          const std::vector<DevicePtr> &devices) {
    std::vector<MemoryNeed> needs(devices.size());
    std::set<std::tuple<size_t, size_t, size_t>> counted;
    for (size_t v = 0; v < variants.size(); ++v)
        for (const PlacedRegion &region : placements[v]) {
            if (!counted.insert({region.begin, region.end, region.device}).second) continue;
            RZ_ASSIGN(const MemoryNeed need, memory_of_part(variants[v], region.begin, region.end,
                                                            devices[region.device]));
            needs[region.device].weights += need.weights;
            if (v == 0) needs[region.device].states += need.states;
        }
    return needs;
}

uint64_t memory_limit(const std::vector<DevicePtr> &devices, std::span<const uint64_t> limits,
                      size_t device) {
    const bool limited = device < limits.size() && limits[device] > 0;
    return limited ? limits[device] : devices[device]->info().memory_free;
}

Result<std::vector<std::optional<uint64_t>>> spare_memory(std::span<const Graph> variants,
                                                          std::span<const Placement> placements,
                                                          const std::vector<DevicePtr> &devices,
                                                          std::span<const uint64_t> limits) {
    std::vector<std::optional<uint64_t>> spare(devices.size());
    if (std::ranges::all_of(limits, [](uint64_t limit) { return limit == 0; })) return spare;
    RZ_ASSIGN(const std::vector<MemoryNeed> needs, memory_of(variants, placements, devices));
    for (size_t d = 0; d < spare.size() && d < limits.size(); ++d) {
        if (limits[d] == 0) continue;
        std::set<std::pair<size_t, size_t>> regions;
        for (const Placement &placement : placements)
            for (const PlacedRegion &region : placement)
                if (region.device == d) regions.insert({region.begin, region.end});
        spare[d] = (limits[d] - std::min(limits[d], needs[d].total())) /
                   std::max<size_t>(regions.size(), 1);
    }
    return spare;
}

Status check_memory(std::span<const Graph> variants, std::span<const Placement> placements,
                    const std::vector<DevicePtr> &devices, std::span<const uint64_t> limits) {
    RZ_ASSIGN(const std::vector<MemoryNeed> needs, memory_of(variants, placements, devices));
    constexpr double kGiB = 1u << 30;
    for (size_t d = 0; d < needs.size(); ++d) {
        const uint64_t limit = memory_limit(devices, limits, d);
        if (limit == 0 || needs[d].total() <= limit) continue;
        return make_error(Code::out_of_memory, "model_too_large",
                          "%s: the weights need %.2f GiB and the KV cache %.2f GiB, but only %.2f "
                          "GiB are free (a smaller context takes less)",
                          devices[d]->label().c_str(), static_cast<double>(needs[d].weights) / kGiB,
                          static_cast<double>(needs[d].states) / kGiB,
                          static_cast<double>(limit) / kGiB);
    }
    return {};
}

} // namespace realizar
