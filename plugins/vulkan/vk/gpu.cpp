#include "plugins/vulkan/vk/gpu.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace realizar::vulkan {

namespace {

using Clock = std::chrono::steady_clock;

uint64_t passed_ns(Clock::time_point start) {
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count());
}

// Waking up costs some 20 us more than spinning, and a timer may be 60 us late; a decode step takes 0.1 to
// 2 ms and always much the same. Below kDoze a late timer would cost a large part of the step.
constexpr uint64_t kSpin = 50'000, kDoze = 400'000, kLongest = 4'000'000; // ns
constexpr uint64_t kBounce = uint64_t{4} << 20;

} // namespace

Commands::Commands(Gpu &gpu) : gpu_(gpu) {
    VkCommandPoolCreateInfo pool = {};
    pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    pool.queueFamilyIndex = gpu.physical().queue_family;
    check(gpu.vk().vkCreateCommandPool(gpu.handle(), &pool, nullptr, &pool_),
          "vkCreateCommandPool");
    VkCommandBufferAllocateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    info.commandPool = pool_;
    info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    info.commandBufferCount = 1;
    const VkResult result = gpu.vk().vkAllocateCommandBuffers(gpu.handle(), &info, &buffer_);
    if (result != VK_SUCCESS) gpu.vk().vkDestroyCommandPool(gpu.handle(), pool_, nullptr);
    check(result, "vkAllocateCommandBuffers");
}

Commands::~Commands() { gpu_.vk().vkDestroyCommandPool(gpu_.handle(), pool_, nullptr); }

void Commands::begin() {
    check(gpu_.vk().vkResetCommandPool(gpu_.handle(), pool_, 0), "vkResetCommandPool");
    VkCommandBufferBeginInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    check(gpu_.vk().vkBeginCommandBuffer(buffer_, &info), "vkBeginCommandBuffer");
}

void Commands::end() { check(gpu_.vk().vkEndCommandBuffer(buffer_), "vkEndCommandBuffer"); }

Progress::Progress(Gpu &gpu) : gpu_(gpu) {
    VkSemaphoreTypeCreateInfo type = {};
    type.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO;
    type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
    VkSemaphoreCreateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO;
    info.pNext = &type;
    check(gpu.vk().vkCreateSemaphore(gpu.handle(), &info, nullptr, &semaphore_),
          "vkCreateSemaphore");
}

Progress::~Progress() { gpu_.vk().vkDestroySemaphore(gpu_.handle(), semaphore_, nullptr); }

uint64_t Progress::reached() const {
    uint64_t value = 0;
    check(gpu_.vk().vkGetSemaphoreCounterValue(gpu_.handle(), semaphore_, &value),
          "vkGetSemaphoreCounterValue");
    return value;
}

bool Progress::sleep(uint64_t value, uint64_t timeout_ns) const {
    VkSemaphoreWaitInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
    info.semaphoreCount = 1;
    info.pSemaphores = &semaphore_;
    info.pValues = &value;
    const VkResult result = gpu_.vk().vkWaitSemaphores(gpu_.handle(), &info, timeout_ns);
    if (result == VK_TIMEOUT) return false;
    check(result, "vkWaitSemaphores");
    return true;
}

bool Progress::spin(uint64_t value, uint64_t timeout_ns) const {
    const auto start = Clock::now();
    do {
        if (reached() >= value) return true;
    } while (passed_ns(start) < timeout_ns);
    return false;
}

bool Progress::wait(uint64_t value, uint64_t timeout_ns) const {
    const auto start = Clock::now();
    const auto left = [&] {
        const uint64_t passed = passed_ns(start);
        return timeout_ns > passed ? timeout_ns - passed : 0;
    };
    const uint64_t usual = usual_ns_;
    const uint64_t nap = usual - usual / 4;
    // How long the work took is unknown then: the next nap is shorter.
    const bool overslept = usual > kDoze && sleep(value, std::min(left(), nap));
    const bool done = overslept ||
                      spin(value, std::min(left(), kSpin + std::min(usual, kLongest))) ||
                      sleep(value, left());
    if (done) usual_ns_ = overslept ? nap : passed_ns(start);
    return done;
}

Gpu::Gpu(const rz_host &host, const Settings &settings, Validation &validation,
         const Physical &physical)
    : host_(host), settings_(settings), validation_(validation), physical_(physical),
      chains_(physical.features.chain) {
    device_ = create_logical(physical, table_);
    try {
        table_.vkGetDeviceQueue(device_, physical.queue_family, 0, &queue_);
        memory_ = std::make_unique<Allocator>(*this);
        pipelines_ = std::make_unique<Pipelines>(*this);
        run_commands_ = std::make_unique<Commands>(*this);
        run_progress_ = std::make_unique<Progress>(*this);
    } catch (...) {
        release();
        throw;
    }
}

Gpu::~Gpu() {
    pipelines_->save();
    if (settings_.profile)
        for (const std::string &line : profile_.report())
            host_.log(host_.self, RZ_LOG_WARNING, line.c_str());
    release();
}

void Gpu::release() {
    table_.vkDeviceWaitIdle(device_);
    bounce_ = Memory();
    run_progress_.reset();
    run_commands_.reset();
    pipelines_.reset();
    memory_.reset();
    table_.vkDestroyDevice(device_, nullptr);
}

void Gpu::full_barrier(VkCommandBuffer commands) const {
    VkMemoryBarrier barrier = {};
    barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
    barrier.srcAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT;
    barrier.dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT;
    constexpr VkPipelineStageFlags all = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
    constexpr VkPipelineStageFlags host = VK_PIPELINE_STAGE_HOST_BIT;
    table_.vkCmdPipelineBarrier(commands, all, all | host, 0, 1, &barrier, 0, nullptr, 0, nullptr);
}

void Gpu::stop_chains() {
    if (chains_.exchange(false))
        host_.log(host_.self, RZ_LOG_WARNING,
                  "a chain of kernels did not go on; from here on barriers part them");
}

uint32_t Gpu::chain_start() { return ++chain_starts_ == settings_.fail_chain ? kChainGaveUp : 0; }

void Gpu::submit(const Commands &commands, const Progress &progress, uint64_t value) {
    const rz_code planned = fail_next_.exchange(RZ_OK);
    if (planned != RZ_OK) raise(planned, "the submission failed on purpose (fail_next)");
    const VkSemaphore semaphore = progress.handle();
    const VkCommandBuffer buffer = commands.handle();
    VkTimelineSemaphoreSubmitInfo values = {};
    values.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO;
    values.signalSemaphoreValueCount = 1;
    values.pSignalSemaphoreValues = &value;
    VkSubmitInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    info.pNext = &values;
    info.commandBufferCount = 1;
    info.pCommandBuffers = &buffer;
    info.signalSemaphoreCount = 1;
    info.pSignalSemaphores = &semaphore;
    const std::lock_guard lock(queue_mutex_);
    if (++submissions_ == settings_.fail_submission)
        raise(RZ_DEVICE_LOST, "submission %llu failed on purpose (REALIZAR_VULKAN_FAIL)",
              wide(submissions_));
    validation_.raise_new();
    check(table_.vkQueueSubmit(queue_, 1, &info, VK_NULL_HANDLE), "vkQueueSubmit");
}

void Gpu::run(const std::function<void(VkCommandBuffer)> &record) {
    const std::lock_guard lock(run_mutex_);
    run_commands_->begin();
    full_barrier(run_commands_->handle());
    record(run_commands_->handle());
    full_barrier(run_commands_->handle());
    run_commands_->end();
    submit(*run_commands_, *run_progress_, ++run_value_);
    run_progress_->wait(run_value_, UINT64_MAX);
}

void Gpu::copy(const Memory &to, uint64_t to_offset, const Memory &from, uint64_t from_offset,
               uint64_t size) {
    if (size == 0) return;
    if (to.host() && from.host()) {
        std::memmove(to.host() + to_offset, from.host() + from_offset, size);
        return;
    }
    // A copy within one buffer must not overlap.
    const bool overlaps = to.buffer() == from.buffer() &&
                          to.offset() + to_offset < from.offset() + from_offset + size &&
                          from.offset() + from_offset < to.offset() + to_offset + size;
    if (overlaps) {
        const Memory middle = memory().allocate(Heap::device, size);
        copy(middle, 0, from, from_offset, size);
        copy(to, to_offset, middle, 0, size);
        return;
    }
    const VkBufferCopy region = {from.offset() + from_offset, to.offset() + to_offset, size};
    run([&](VkCommandBuffer commands) {
        table_.vkCmdCopyBuffer(commands, from.buffer(), to.buffer(), 1, &region);
    });
}

void Gpu::write(const Memory &to, uint64_t offset, const void *data, uint64_t size) {
    const auto *bytes = static_cast<const std::byte *>(data);
    if (to.host()) {
        if (size) std::memcpy(to.host() + offset, bytes, size);
        return;
    }
    const std::lock_guard lock(bounce_mutex_);
    if (!bounce_) bounce_ = memory().allocate(Heap::readback, kBounce);
    for (uint64_t at = 0; at < size; at += kBounce) {
        const uint64_t part = std::min(kBounce, size - at);
        std::memcpy(bounce_.host(), bytes + at, part);
        copy(to, offset + at, bounce_, 0, part);
    }
}

void Gpu::read(const Memory &from, uint64_t offset, void *data, uint64_t size) {
    auto *bytes = static_cast<std::byte *>(data);
    if (from.host()) {
        if (size) std::memcpy(bytes, from.host() + offset, size);
        return;
    }
    const std::lock_guard lock(bounce_mutex_);
    if (!bounce_) bounce_ = memory().allocate(Heap::readback, kBounce);
    for (uint64_t at = 0; at < size; at += kBounce) {
        const uint64_t part = std::min(kBounce, size - at);
        copy(bounce_, 0, from, offset + at, part);
        std::memcpy(bytes + at, bounce_.host(), part);
    }
}

// One core moves a third of what the bus takes.
void Gpu::copy_by_threads(void *to, const void *from, uint64_t size) const {
    constexpr uint64_t kLeast = uint64_t{128} << 10, kMost = uint64_t{1} << 20, kPieces = 8;
    if (size <= 2 * kLeast) {
        if (size) std::memcpy(to, from, size);
        return;
    }
    struct Job {
        std::byte *to;
        const std::byte *from;
        uint64_t size, piece;
    } job = {static_cast<std::byte *>(to), static_cast<const std::byte *>(from), size,
             std::clamp(size / kPieces, kLeast, kMost)};
    const auto copy_pieces = [](void *context, uint64_t begin, uint64_t end) {
        const Job &j = *static_cast<const Job *>(context);
        const uint64_t first = begin * j.piece, last = std::min(j.size, end * j.piece);
        std::memcpy(j.to + first, j.from + first, last - first);
    };
    host_.parallel_for(host_.self, (size + job.piece - 1) / job.piece, 1, copy_pieces, &job);
}

void Gpu::zero(const Memory &memory) {
    if (memory.host()) {
        std::memset(memory.host(), 0, memory.size());
        return;
    }
    run([&](VkCommandBuffer commands) {
        table_.vkCmdFillBuffer(commands, memory.buffer(), memory.offset(), memory.size(), 0);
    });
}

} // namespace realizar::vulkan
