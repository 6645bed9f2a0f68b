#include "plugins/vulkan/vk/profile.h"

#include "plugins/vulkan/vk/gpu.h"

#include <algorithm>
#include <cstdio>

namespace realizar::vulkan {

void Profile::add(const std::vector<Mark> &marks, const std::vector<uint64_t> &ticks,
                  double ns_of_tick) {
    const std::lock_guard lock(mutex_);
    const auto between = [&](uint64_t from, uint64_t to) {
        return to > from ? static_cast<double>(to - from) * ns_of_tick : 0.0;
    };
    if (submissions_++ > 0) {
        Sum &idle = sums_["(between submissions)"];
        ++idle.count;
        idle.ns += between(last_end_, ticks.front());
    }
    for (size_t i = 0; i < marks.size(); ++i) {
        Sum &sum = sums_[marks[i].label];
        ++sum.count;
        sum.bytes += marks[i].bytes;
        sum.ns += between(ticks[i], ticks[i + 1]);
    }
    last_end_ = ticks.back();
}

std::vector<std::string> Profile::report() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::pair<std::string, Sum>> rows(sums_.begin(), sums_.end());
    std::sort(rows.begin(), rows.end(),
              [](const auto &a, const auto &b) { return a.second.ns > b.second.ns; });
    char line[160];
    std::snprintf(line, sizeof(line), "profile of %llu submissions", wide(submissions_));
    std::vector<std::string> lines = {line};
    lines.emplace_back("   total ms     count  us each   GB/s  kernel (constants) grid");
    for (const auto &[label, sum] : rows) {
        const double rate = sum.ns > 0 ? static_cast<double>(sum.bytes) / sum.ns : 0;
        std::snprintf(line, sizeof(line), "%11.3f %9llu %8.2f %6.0f  ", sum.ns / 1e6,
                      wide(sum.count), sum.ns / 1e3 / static_cast<double>(sum.count), rate);
        lines.push_back(line + label);
    }
    return lines;
}

Timestamps::Timestamps(Gpu &gpu, uint32_t capacity) : gpu_(gpu), capacity_(capacity + 1) {
    VkQueryPoolCreateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO;
    info.queryType = VK_QUERY_TYPE_TIMESTAMP;
    info.queryCount = capacity_;
    check(gpu.vk().vkCreateQueryPool(gpu.handle(), &info, nullptr, &pool_), "vkCreateQueryPool");
}

Timestamps::~Timestamps() { gpu_.vk().vkDestroyQueryPool(gpu_.handle(), pool_, nullptr); }

void Timestamps::start(VkCommandBuffer commands) {
    marks_.clear();
    gpu_.vk().vkCmdResetQueryPool(commands, pool_, 0, capacity_);
    gpu_.vk().vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pool_, 0);
}

void Timestamps::mark(VkCommandBuffer commands, std::string label, uint64_t bytes) {
    if (marks_.size() + 1 >= capacity_) return;
    marks_.push_back({std::move(label), bytes});
    gpu_.vk().vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pool_,
                                  static_cast<uint32_t>(marks_.size()));
}

void Timestamps::collect() {
    ticks_.resize(marks_.size() + 1);
    const auto count = static_cast<uint32_t>(ticks_.size());
    check(gpu_.vk().vkGetQueryPoolResults(gpu_.handle(), pool_, 0, count,
                                          ticks_.size() * sizeof(uint64_t), ticks_.data(),
                                          sizeof(uint64_t), VK_QUERY_RESULT_64_BIT),
          "vkGetQueryPoolResults");
    const double period = double{gpu_.physical().properties.limits.timestampPeriod};
    gpu_.profile().add(marks_, ticks_, period);
}

} // namespace realizar::vulkan
