#include "plugins/vulkan/half_weights.h"

#include "plugins/vulkan/plan/choose.h"
#include "plugins/vulkan/plan/step.h"
#include "plugins/vulkan/weights.h"

#include <algorithm>
#include <set>

namespace realizar::vulkan {

namespace {

constexpr uint64_t kShare = 4; // of free memory: caches and other programs need the rest

// Indices of the matrices that `region` multiplies with many rows.
std::set<uint32_t> find_wanted(const rz_weights &set, const Region &region) {
    std::set<uint32_t> wanted;
    for (const Node &node : region.nodes) {
        if (node.op != RZ_OP_MATMUL) continue;
        const Tensor &w = region.input(node, 0);
        if (w.role != RZ_ROLE_WEIGHT || !plane_type(w.dtype)) continue;
        const View x(region, node.inputs[1]);
        const auto rows = static_cast<uint32_t>(x.max_rows());
        const Features &features = set.device.gpu.features();
        if (choose_matmul(features, w.dtype, x.max_inner(), rows) != MatmulForm::coopmat) continue;
        const uint32_t index = set.weights.at(region.tensors[w.storage].key).matrix;
        if (!set.matrices[index].half) wanted.insert(index);
    }
    return wanted;
}

uint64_t row_stride(const PackedMatrix &m) { return align_up(m.inner, kHalfDepth); }
uint64_t rows_of(const PackedMatrix &m) { return m.blocks * m.type->groups * 32 / m.inner; }
uint64_t bytes_of(const PackedMatrix &m) {
    return (rows_of(m) + kHalfTile) * row_stride(m) * sizeof(uint16_t);
}

void decode(Gpu &gpu, VkCommandBuffer commands, const PackedMatrix &m) {
    const auto rows = static_cast<uint32_t>(rows_of(m));
    HalfWeightsParams p = {planes_at(*m.type, m.layout, m.memory.address(), 0), m.half.address(),
                           rows, static_cast<uint32_t>(row_stride(m))};
    p.w.groups = p.w.stride = static_cast<uint32_t>(m.inner / 32);
    const VolkDeviceTable &vk = gpu.vk();
    vk.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE,
                         gpu.pipelines().get(std::string("half_weights_") + m.type->suffix, {}));
    vk.vkCmdPushConstants(commands, gpu.pipelines().layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0,
                          sizeof(p), &p);
    vk.vkCmdDispatch(commands, groups_for(uint64_t{rows} * p.stride / 32, 256), 1, 1);
}

} // namespace

void make_half_weights(rz_weights &set, const Region &region) {
    Gpu &gpu = set.device.gpu;
    const Features &features = gpu.features();
    if (!gpu.settings().half_weights || !(features.coopmat_nv || features.half_plain)) return;
    const std::lock_guard lock(set.half_mutex);
    const std::set<uint32_t> wanted = find_wanted(set, region);
    uint64_t bytes = 0, used = 0;
    for (const uint32_t index : wanted)
        bytes += bytes_of(set.matrices[index]);
    for (const PackedMatrix &m : set.matrices)
        used += m.bytes() + m.half.size();
    if (wanted.empty() || bytes > gpu.physical().free_memory() / kShare) return;
    if (set.budget && (used > set.budget || bytes > set.budget - used)) return;
    try {
        for (const uint32_t index : wanted)
            set.matrices[index].half =
                gpu.memory().allocate(Heap::device, bytes_of(set.matrices[index]));
    } catch (const Failure &failure) {
        if (failure.code != RZ_OUT_OF_MEMORY) throw;
        for (const uint32_t index : wanted)
            set.matrices[index].half = Memory();
        return; // it goes without
    }
    gpu.run([&](VkCommandBuffer commands) {
        for (const uint32_t index : wanted)
            decode(gpu, commands, set.matrices[index]);
    });
}

} // namespace realizar::vulkan
