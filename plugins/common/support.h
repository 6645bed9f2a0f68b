// Errors and struct checks that every backend of this project needs.
#pragma once

#include "realizar/backend.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>

namespace realizar::plugin {

// Fills `err` (may be null) and returns `code`. `node` is RZ_NONE when no node is in question.
[[gnu::format(printf, 4, 5)]] rz_code fail(rz_error *err, rz_code code, uint32_t node,
                                           const char *format, ...);

// RZ_OK, or the error for a null struct, one shorter than ABI 0.1 (`least` bytes), or one with
// required flags beyond `known`.
rz_code check_struct(const void *data, size_t least, uint32_t known, const char *what,
                     rz_error *err);

// Runs body() -> rz_code and turns an exception into a code: none may cross the ABI.
template <class Body>
rz_code guarded(rz_error *err, Body body) {
    try {
        return body();
    } catch (const std::bad_alloc &) {
        return fail(err, RZ_OUT_OF_MEMORY, RZ_NONE, "the host has no memory left");
    } catch (const std::exception &e) {
        return fail(err, RZ_INTERNAL, RZ_NONE, "unexpected exception: %s", e.what());
    }
}

// Element i of an array whose elements are `stride` bytes apart.
template <class T>
const T &element(const T *array, uint32_t stride, uint32_t i) {
    return *reinterpret_cast<const T *>(reinterpret_cast<const std::byte *>(array) +
                                        size_t{stride} * i);
}

// Fills the caller's struct, whatever its version: no more bytes than it has.
template <class T>
void fill_struct(T *out, T value) {
    value.struct_size = out->struct_size;
    __builtin_memcpy(out, &value, out->struct_size < sizeof(T) ? out->struct_size : sizeof(T));
}

// What rz_counters reports; shared by all threads.
struct Counters {
    std::atomic<uint64_t> submissions{0}, dispatches{0}, barriers{0}, allocations{0};
    std::atomic<uint64_t> bytes_written{0}, bytes_read{0}, memory_used{0}, memory_peak{0};
};

constexpr uint64_t align_up(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

} // namespace realizar::plugin
