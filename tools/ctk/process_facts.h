// What this process holds, as the operating system counts it. Tests compare before and after.
#pragma once

#include <cstddef>
#include <cstdint>

namespace realizar::ctk {

struct ProcessFacts {
    size_t threads = 0;
    size_t files = 0;    // open descriptors
    uint64_t heap = 0;   // bytes in use from malloc
    uint64_t mapped = 0; // bytes of address space
};

ProcessFacts process_facts();
// Threads that were told to end may still be on their way: waits up to a second for the count.
size_t threads_settled_to(size_t expected);
// Bytes that the process wrote into this file.
uint64_t bytes_in(int file);

// Memory that ends exactly where an unreadable page begins: reading past `size` crashes.
class FencedMemory {
  public:
    explicit FencedMemory(size_t size);
    ~FencedMemory();
    FencedMemory(const FencedMemory &) = delete;
    FencedMemory &operator=(const FencedMemory &) = delete;
    void *data() const { return data_; } // 8-byte aligned if size is a multiple of 8

  private:
    void *base_ = nullptr;
    size_t mapped_ = 0;
    void *data_ = nullptr;
};

} // namespace realizar::ctk
