#include "plugins/vulkan/plan/step.h"

#include <algorithm>

namespace realizar::vulkan {

bool Recorder::overlaps(const std::vector<Range> &ranges, const Range &range) {
    return std::any_of(ranges.begin(), ranges.end(), [&](const Range &each) {
        return each.begin < range.end && range.begin < each.end;
    });
}

void Recorder::synchronise(bool linked) {
    const auto range_of = [&](const Access &access) {
        const uint64_t begin = address(access.view);
        return Range{begin, begin + access.view.extent(symbols)};
    };
    const bool conflict =
        std::any_of(step_->accesses.begin(), step_->accesses.end(), [&](const Access &access) {
            const Range range = range_of(access);
            return overlaps(written_, range) || (access.write && overlaps(read_, range));
        });
    const bool waits = conflict && linked && !plain_;
    // Who cannot wait knows nothing of those that did.
    const bool blocks = (conflict && !waits) || (!linked && awaited_ > 0);
    if (waits) awaited_ = linked_;
    if (blocks && !gpu_.settings().race) {
        VkMemoryBarrier barrier = {};
        barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
        barrier.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT;
        barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
        gpu_.vk().vkCmdPipelineBarrier(commands_, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                       VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &barrier, 0,
                                       nullptr, 0, nullptr);
        ++barriers_;
        awaited_ = 0;
        plain_ = false;
    }
    if (waits || (blocks && !gpu_.settings().race)) {
        read_.clear();
        written_.clear();
    }
    plain_ = plain_ || !linked;
    for (const Access &access : step_->accesses)
        (access.write ? written_ : read_).push_back(range_of(access));
}

Link Recorder::link(Grid grid) {
    // Each look takes about half a microsecond where chains are used.
    constexpr uint32_t kPatience = 1 << 21;
    synchronise(true);
    linked_ += grid.x * grid.y * grid.z;
    return {counter_, awaited_, kPatience};
}

void Recorder::dispatch(const std::string &shader, std::span<const uint32_t> constants,
                        const void *params, uint32_t size, Grid grid) {
    const VkPipeline pipeline = gpu_.pipelines().get(shader, constants);
    if (pipeline != bound_)
        gpu_.vk().vkCmdBindPipeline(commands_, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    bound_ = pipeline;
    gpu_.vk().vkCmdPushConstants(commands_, gpu_.pipelines().layout(), VK_SHADER_STAGE_COMPUTE_BIT,
                                 0, size, params);
    gpu_.vk().vkCmdDispatch(commands_, grid.x, grid.y, grid.z);
    ++dispatches_;
    if (times_) note(shader, constants, grid);
}

void Recorder::note(const std::string &shader, std::span<const uint32_t> constants, Grid grid) {
    std::string label = shader + " (";
    for (const uint32_t constant : constants)
        label += std::to_string(constant) + ' ';
    label +=
        ") " + std::to_string(grid.x) + ' ' + std::to_string(grid.y) + ' ' + std::to_string(grid.z);
    times_->mark(commands_, std::move(label), bytes_);
    bytes_ = 0;
}

} // namespace realizar::vulkan
