// Device memory in large blocks, handed out in pieces. Every piece has a device address.
#pragma once

#include "plugins/vulkan/vk/failure.h"

#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace realizar::vulkan {

class Gpu;

enum class Heap : uint32_t {
    device,   // where kernels work; the host sees it only with Features::host_memory
    upload,   // the host writes, kernels read: device-local where the host can write there
    staging,  // the host writes, kernels read once: memory of the host
    readback, // kernels write, the host reads: cached memory of the host
};
constexpr uint32_t kHeapCount = 4;

class Allocator;

struct MemoryBlock {
    Allocator *owner;
    Heap heap;
    VkDeviceMemory memory = VK_NULL_HANDLE;
    VkBuffer buffer = VK_NULL_HANDLE;
    uint64_t size = 0;
    uint64_t address = 0;
    std::byte *host = nullptr;
    std::map<uint64_t, uint64_t> free; // offset -> size; neighbours are always joined
};

// A piece of a block; gives itself back. Not thread-safe, as any value.
class Memory {
  public:
    Memory() = default;
    Memory(Memory &&other) noexcept { swap(other); }
    Memory &operator=(Memory &&other) noexcept {
        swap(other);
        return *this;
    }
    ~Memory();

    VkBuffer buffer() const;
    uint64_t offset() const { return offset_; }
    uint64_t size() const { return size_; }
    uint64_t address() const;
    std::byte *host() const; // null: not visible
    explicit operator bool() const { return block_ != nullptr; }

  private:
    friend class Allocator;
    void swap(Memory &other) noexcept;

    MemoryBlock *block_ = nullptr;
    uint64_t offset_ = 0, size_ = 0;
};

class Allocator {
  public:
    explicit Allocator(Gpu &gpu) : gpu_(gpu) {}
    ~Allocator();
    Allocator(const Allocator &) = delete;
    Allocator &operator=(const Allocator &) = delete;

    // [any-thread] At least `size` bytes, aligned to 256. The contents are whatever was there.
    // Throws RZ_OUT_OF_MEMORY.
    Memory allocate(Heap heap, uint64_t size);

  private:
    friend class Memory;
    uint32_t memory_type(Heap heap, uint32_t allowed) const;
    std::unique_ptr<MemoryBlock> make_block(Heap heap, uint64_t size);
    Memory take(MemoryBlock &block, uint64_t size);
    void give_back(Memory &memory);

    Gpu &gpu_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<MemoryBlock>> blocks_[kHeapCount];
    uint64_t calls_ = 0;
};

} // namespace realizar::vulkan
