#include "tools/ctk/process_facts.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

// Under a sanitizer malloc is not glibc's; its runtime knows the number.
extern "C" __attribute__((weak)) size_t __sanitizer_get_current_allocated_bytes();

namespace realizar::ctk {
namespace {

size_t entries_of(const char *folder) {
    size_t count = 0;
    std::error_code failure;
    for (std::filesystem::directory_iterator entry(folder, failure), end; entry != end;
         entry.increment(failure))
        ++count;
    return count;
}

} // namespace

ProcessFacts process_facts() {
    ProcessFacts facts;
    facts.threads = entries_of("/proc/self/task");
    facts.files = entries_of("/proc/self/fd");
    if (__sanitizer_get_current_allocated_bytes != nullptr) {
        facts.heap = __sanitizer_get_current_allocated_bytes();
    } else {
        const struct mallinfo2 info = mallinfo2();
        facts.heap = info.uordblks + info.hblkhd;
    }
    std::ifstream statm("/proc/self/statm");
    uint64_t pages = 0;
    statm >> pages;
    facts.mapped = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    return facts;
}

size_t threads_settled_to(size_t expected) {
    size_t threads = process_facts().threads;
    for (int i = 0; i < 100 && threads > expected; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        threads = process_facts().threads;
    }
    return threads;
}

uint64_t bytes_in(int file) {
    struct stat facts {};
    return fstat(file, &facts) == 0 ? static_cast<uint64_t>(facts.st_size) : 0;
}

FencedMemory::FencedMemory(size_t size) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t body = (size + page - 1) / page * page;
    mapped_ = body + page;
    base_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base_ == MAP_FAILED) {
        base_ = nullptr;
        return;
    }
    mprotect(static_cast<char *>(base_) + body, page, PROT_NONE);
    data_ = static_cast<char *>(base_) + body - size;
}

FencedMemory::~FencedMemory() {
    if (base_ != nullptr) munmap(base_, mapped_);
}

} // namespace realizar::ctk
