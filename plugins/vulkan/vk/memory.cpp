#include "plugins/vulkan/vk/memory.h"

#include "plugins/vulkan/vk/gpu.h"

#include <algorithm>
#include <utility>

namespace realizar::vulkan {

namespace {

constexpr uint64_t kAlignment = 256;
constexpr uint64_t kBlock = uint64_t{16} << 20; // pieces above a quarter of it get their own block

constexpr VkMemoryPropertyFlags kLocal = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
constexpr VkMemoryPropertyFlags kVisible =
    VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
constexpr VkMemoryPropertyFlags kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;

} // namespace

Memory::~Memory() {
    if (block_) block_->owner->give_back(*this);
}
void Memory::swap(Memory &other) noexcept {
    std::swap(block_, other.block_);
    std::swap(offset_, other.offset_);
    std::swap(size_, other.size_);
}
VkBuffer Memory::buffer() const { return block_->buffer; }
uint64_t Memory::address() const { return block_->address + offset_; }
std::byte *Memory::host() const { return block_->host ? block_->host + offset_ : nullptr; }

Allocator::~Allocator() {
    const VolkDeviceTable &vk = gpu_.vk();
    for (auto &blocks : blocks_)
        for (const auto &block : blocks) {
            vk.vkDestroyBuffer(gpu_.handle(), block->buffer, nullptr);
            vk.vkFreeMemory(gpu_.handle(), block->memory, nullptr);
        }
}

// The first type that has what the heap wants, giving up wishes one by one.
uint32_t Allocator::memory_type(Heap heap, uint32_t allowed) const {
    const VkPhysicalDeviceMemoryProperties &all = gpu_.physical().memory;
    const bool in_place = gpu_.physical().features.host_memory;
    std::vector<VkMemoryPropertyFlags> wishes;
    switch (heap) {
    case Heap::device:
        if (in_place) wishes.push_back(kLocal | kVisible | kCached);
        wishes.push_back(kLocal);
        wishes.push_back(0);
        break;
    case Heap::upload: wishes = {kLocal | kVisible, kVisible}; break;
    case Heap::staging: wishes = {kVisible}; break;
    case Heap::readback: wishes = {kVisible | kCached, kVisible}; break;
    }
    for (const VkMemoryPropertyFlags wish : wishes) {
        // Staging memory of the host must not eat the device's where there is a choice.
        for (const bool avoid_local : {heap == Heap::staging || heap == Heap::readback, false})
            for (uint32_t i = 0; i < all.memoryTypeCount; ++i) {
                const VkMemoryPropertyFlags flags = all.memoryTypes[i].propertyFlags;
                if ((allowed & (1u << i)) && (flags & wish) == wish &&
                    !(avoid_local && (flags & kLocal)))
                    return i;
            }
    }
    raise(RZ_INTERNAL, "the device has no memory type for heap %u", static_cast<unsigned>(heap));
}

std::unique_ptr<MemoryBlock> Allocator::make_block(Heap heap, uint64_t size) {
    const VolkDeviceTable &vk = gpu_.vk();
    const uint64_t limit =
        std::min(gpu_.physical().max_allocation, gpu_.physical().device_memory());
    if (size > limit)
        raise(RZ_OUT_OF_MEMORY, "expected at most %llu bytes in one allocation, found %llu",
              wide(limit), wide(size));
    auto block = std::make_unique<MemoryBlock>();
    block->owner = this;
    block->heap = heap;
    block->size = size;
    VkBufferCreateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
    info.size = size;
    info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                 VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;
    check(vk.vkCreateBuffer(gpu_.handle(), &info, nullptr, &block->buffer), "vkCreateBuffer");
    try {
        VkMemoryRequirements needs;
        vk.vkGetBufferMemoryRequirements(gpu_.handle(), block->buffer, &needs);
        VkMemoryAllocateFlagsInfo flags = {};
        flags.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO;
        flags.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
        VkMemoryAllocateInfo allocate = {};
        allocate.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
        allocate.pNext = &flags;
        allocate.allocationSize = needs.size;
        allocate.memoryTypeIndex = memory_type(heap, needs.memoryTypeBits);
        check(vk.vkAllocateMemory(gpu_.handle(), &allocate, nullptr, &block->memory),
              "vkAllocateMemory");
        check(vk.vkBindBufferMemory(gpu_.handle(), block->buffer, block->memory, 0),
              "vkBindBufferMemory");
        const bool map = heap != Heap::device || gpu_.physical().features.host_memory;
        void *host = nullptr;
        if (map)
            check(vk.vkMapMemory(gpu_.handle(), block->memory, 0, VK_WHOLE_SIZE, 0, &host),
                  "vkMapMemory");
        block->host = static_cast<std::byte *>(host);
        VkBufferDeviceAddressInfo where = {};
        where.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO;
        where.buffer = block->buffer;
        block->address = vk.vkGetBufferDeviceAddress(gpu_.handle(), &where);
        block->free.emplace(0, size);
    } catch (...) {
        vk.vkDestroyBuffer(gpu_.handle(), block->buffer, nullptr);
        vk.vkFreeMemory(gpu_.handle(), block->memory, nullptr);
        throw;
    }
    return block;
}

Memory Allocator::take(MemoryBlock &block, uint64_t size) {
    Memory memory;
    for (auto at = block.free.begin(); at != block.free.end(); ++at) {
        const auto [offset, room] = *at;
        if (room < size) continue;
        block.free.erase(at);
        if (room > size) block.free.emplace(offset + size, room - size);
        memory.block_ = &block;
        memory.offset_ = offset;
        memory.size_ = size;
        break;
    }
    return memory;
}

Memory Allocator::allocate(Heap heap, uint64_t size) {
    const std::lock_guard lock(mutex_);
    if (++calls_ == gpu_.settings().fail_allocation)
        raise(RZ_OUT_OF_MEMORY, "allocation %llu failed on purpose (REALIZAR_VULKAN_FAIL)",
              wide(calls_));
    if (size > (uint64_t{1} << 48)) raise(RZ_OUT_OF_MEMORY, "no device has %llu bytes", wide(size));
    size = align_up(std::max<uint64_t>(size, 1), kAlignment);
    auto &blocks = blocks_[static_cast<uint32_t>(heap)];
    Memory memory;
    for (const auto &block : blocks)
        if (memory = take(*block, size); memory) break;
    if (!memory) {
        blocks.push_back(make_block(heap, size > kBlock / 4 ? size : kBlock));
        memory = take(*blocks.back(), size);
    }
    Counters &counters = gpu_.counters();
    ++counters.allocations;
    const uint64_t used = counters.memory_used += size;
    if (counters.memory_peak < used) counters.memory_peak = used; // under the lock
    return memory;
}

void Allocator::give_back(Memory &memory) {
    const std::lock_guard lock(mutex_);
    MemoryBlock &block = *memory.block_;
    gpu_.counters().memory_used -= memory.size_;
    auto at = block.free.emplace(memory.offset_, memory.size_).first;
    if (const auto next = std::next(at);
        next != block.free.end() && at->first + at->second == next->first) {
        at->second += next->second;
        block.free.erase(next);
    }
    if (at != block.free.begin()) {
        const auto before = std::prev(at);
        if (before->first + before->second == at->first) {
            before->second += at->second;
            block.free.erase(at);
            at = before;
        }
    }
    // Large blocks go back to the system; a small one stays for the next piece.
    if (at->second != block.size || block.size == kBlock) return;
    auto &blocks = blocks_[static_cast<uint32_t>(block.heap)];
    gpu_.vk().vkDestroyBuffer(gpu_.handle(), block.buffer, nullptr);
    gpu_.vk().vkFreeMemory(gpu_.handle(), block.memory, nullptr);
    std::erase_if(blocks, [&](const auto &each) { return each.get() == &block; });
}

} // namespace realizar::vulkan
