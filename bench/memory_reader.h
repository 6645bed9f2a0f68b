// Memory read as fast as threads can together: what anything that streams weights could reach at most.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <vector>

namespace realizar::bench {

class MemoryReader {
  public:
    // `bytes` of memory (rounded up to 2 MiB) for each thread, more than caches hold, in huge pages where
    // the system gives them. The caller is the first of the threads. Not thread-safe.
    explicit MemoryReader(unsigned threads, uint64_t bytes = uint64_t{256} << 20);
    ~MemoryReader();
    MemoryReader(const MemoryReader &) = delete;
    MemoryReader &operator=(const MemoryReader &) = delete;

    bool ready() const; // false: there was not enough memory, nothing can be read

    // Ways of reading: one or more streams for each thread, plain, with prefetches, or with prefetches
    // that bypass the shared caches.
    static std::span<const char *const> forms();

    // Reads `bytes` in all, each thread its share of its own memory, from the start again where that
    // ends. Returns the seconds until all are done.
    double read(size_t form, uint64_t bytes);

    // GB/s of each form, the median of `rounds` rounds in which they take turns.
    std::vector<double> rates(int rounds);

  private:
    struct Memory {
        explicit Memory(uint64_t bytes);
        ~Memory();
        uint8_t *data;
    };

    void serve(unsigned thread);
    void read_share(unsigned thread);

    uint64_t bytes_;
    std::vector<std::unique_ptr<Memory>> memory_; // of each thread
    std::vector<std::thread> others_;
    size_t form_ = 0;
    uint64_t share_ = 0; // bytes of each thread
    std::atomic<uint32_t> turn_{0}, done_{0};
    std::atomic<uint64_t> sum_{0}; // of what was read, so that it is read
    bool closing_ = false;
};

} // namespace realizar::bench
