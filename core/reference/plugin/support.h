// What every entry point needs: errors that fit the ABI, checks of the caller's structs, a fence
// for exceptions, and memory that the core counts.
#pragma once

#include "core/common/result.h"
#include "realizar/backend.h"

#include <atomic>
#include <cstddef>
#include <exception>
#include <new>
#include <string>
#include <type_traits>

namespace realizar::reference {

// Fills err (if there is one) and returns code.
[[gnu::format(printf, 3, 4)]] rz_code fail(rz_error *err, rz_code code, const char *format, ...);
rz_code fail(rz_error *err, const Error &error);

inline constexpr uint32_t kRequiredFlags = 0xffffu; // this build knows none of them

// A struct of the caller: there, with all fields of ABI 0.1, and nothing required that is unknown.
template <class T>
rz_code check_struct(const T *value, const char *name, rz_error *err) {
    if (value == nullptr)
        return fail(err, RZ_INVALID_ARGUMENT, "%s: expected a struct, found NULL", name);
    if (value->struct_size < sizeof(T))
        return fail(err, RZ_INVALID_ARGUMENT, "%s struct_size: expected at least %zu, found %u",
                    name, sizeof(T), value->struct_size);
    if ((value->flags & kRequiredFlags) != 0)
        return fail(err, RZ_UNSUPPORTED, "%s flags: expected no required bit, found 0x%x", name,
                    value->flags);
    return RZ_OK;
}

// Item `index` of an array whose items are `stride` bytes apart.
template <class T>
T &element(T *items, uint32_t stride, uint32_t index) {
    using Byte = std::conditional_t<std::is_const_v<T>, const std::byte, std::byte>;
    return *reinterpret_cast<T *>(reinterpret_cast<Byte *>(items) + size_t{stride} * index);
}

// An array of structs of the caller, `stride` bytes apart.
template <class T>
rz_code check_array(const T *items, uint32_t count, uint32_t stride, const char *name,
                    rz_error *err) {
    if (count == 0) return RZ_OK;
    if (items == nullptr)
        return fail(err, RZ_INVALID_ARGUMENT, "%s: expected an array of %u, found NULL", name,
                    count);
    if (stride < sizeof(T) || stride % alignof(T) != 0)
        return fail(err, RZ_INVALID_ARGUMENT,
                    "%s stride: expected a multiple of %zu from %zu on, found %u", name, alignof(T),
                    sizeof(T), stride);
    for (uint32_t i = 0; i < count; ++i)
        if (const rz_code code = check_struct(&element(items, stride, i), name, err)) return code;
    return RZ_OK;
}

// Returns the code when it is not RZ_OK.
#define RZ_CHECK(expression)                                                                       \
    do {                                                                                           \
        if (const rz_code rz_code_ = (expression); rz_code_ != RZ_OK) return rz_code_;             \
    } while (false)

// Runs fn; no exception passes.
template <class Fn>
rz_code guarded(rz_error *err, Fn fn) noexcept {
    try {
        return fn();
    } catch (const std::bad_alloc &) {
        return fail(err, RZ_OUT_OF_MEMORY, "expected more memory, found none left");
    } catch (const std::exception &exception) {
        return fail(err, RZ_INTERNAL, "unexpected exception: %s", exception.what());
    }
}

struct Counters {
    std::atomic<uint64_t> submissions{0}, dispatches{0}, allocations{0}, bytes_written{0},
        bytes_read{0}, memory_used{0}, memory_peak{0};
};

// Zeroed memory from rz_host.alloc, counted by the device. Move-only.
class HostMemory {
  public:
    HostMemory() = default;
    // Throws std::bad_alloc when the host has none left.
    HostMemory(const rz_host &host, Counters &counters, uint64_t size);
    ~HostMemory();
    HostMemory(HostMemory &&other) noexcept { swap(other); }
    HostMemory &operator=(HostMemory &&other) noexcept {
        swap(other);
        return *this;
    }
    // At least this many bytes; what was there stays, what is new is zero.
    void grow(const rz_host &host, Counters &counters, uint64_t size);
    std::byte *data() const { return data_; }
    uint64_t size() const { return size_; }

  private:
    void swap(HostMemory &other) noexcept;

    const rz_host *host_ = nullptr;
    Counters *counters_ = nullptr;
    std::byte *data_ = nullptr;
    uint64_t size_ = 0;
};

// Bound buffers start at multiples of this; the largest scalar of a canonical tensor has 8 bytes.
inline constexpr uint64_t kAlignment = 16;

} // namespace realizar::reference
