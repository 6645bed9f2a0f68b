#include "plugins/cpu/buffer.h"

#include <cstring>
#include <memory>

#include <sys/mman.h>
#include <unistd.h>

namespace realizar::cpu {

namespace {

// Zeros a new block. Large ones (a KV cache for thousands of tokens) hand their pages back to the
// kernel, which brings pages of zeros when they are first touched: memory that is never used is never
// taken. That holds for private anonymous memory only, so marks at both ends tell whether it worked.
void clear(std::byte *data, uint64_t size) {
    constexpr uint64_t kLarge = 1u << 20;
    const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    const uint64_t head = (page - reinterpret_cast<uintptr_t>(data) % page) % page;
    if (size >= kLarge && size > head) {
        std::byte *first = data + head;
        const uint64_t inner = (size - head) / page * page;
        std::byte *last = first + inner - 1;
        *first = *last = std::byte{1};
        if (::madvise(first, inner, MADV_DONTNEED) == 0 && *first == std::byte{0} &&
            *last == std::byte{0}) {
            std::memset(data, 0, head);
            std::memset(first + inner, 0, size - head - inner);
            return;
        }
    }
    std::memset(data, 0, size);
}

rz_code create(rz_device *device, uint64_t size, rz_buffer **out, rz_error *err) {
    return guarded(err, [&] {
        if (!device || !out)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "buffer.create: NULL argument");
        auto buffer = std::unique_ptr<rz_buffer>(
            new rz_buffer{*device, device->allocate(size ? size : kAlignment), size});
        if (!buffer->memory.data())
            return fail(err, RZ_OUT_OF_MEMORY, RZ_NONE, "no memory for a buffer of %llu bytes",
                        static_cast<unsigned long long>(size));
        clear(buffer->memory.data(), buffer->memory.size());
        *out = buffer.release();
        return RZ_OK;
    });
}

void destroy(rz_buffer *buffer) { delete buffer; }

void *map(rz_buffer *buffer) { return buffer ? buffer->memory.data() : nullptr; }

// RZ_OK if [offset, offset + size) lies within the buffer.
rz_code check_range(const rz_buffer *buffer, uint64_t offset, uint64_t size, const char *what,
                    rz_error *err) {
    if (!buffer) return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "buffer.%s: NULL buffer", what);
    if (offset <= buffer->size && size <= buffer->size - offset) return RZ_OK;
    return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                "buffer.%s: expected a range within %llu bytes, found %llu bytes at %llu", what,
                static_cast<unsigned long long>(buffer->size),
                static_cast<unsigned long long>(size), static_cast<unsigned long long>(offset));
}

rz_code write(rz_buffer *buffer, uint64_t offset, const void *data, uint64_t size, rz_error *err) {
    const rz_code code = check_range(buffer, offset, size, "write", err);
    if (code != RZ_OK) return code;
    if (size && !data) return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "buffer.write: NULL data");
    if (size) std::memcpy(buffer->memory.data() + offset, data, size);
    buffer->device.counters.bytes_written += size;
    return RZ_OK;
}

rz_code read(rz_buffer *buffer, uint64_t offset, void *data, uint64_t size, rz_error *err) {
    const rz_code code = check_range(buffer, offset, size, "read", err);
    if (code != RZ_OK) return code;
    if (size && !data) return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "buffer.read: NULL data");
    if (size) std::memcpy(data, buffer->memory.data() + offset, size);
    buffer->device.counters.bytes_read += size;
    return RZ_OK;
}

rz_code copy(rz_buffer *to, uint64_t to_offset, rz_buffer *from, uint64_t from_offset,
             uint64_t size, rz_error *err) {
    rz_code code = check_range(to, to_offset, size, "copy", err);
    if (code == RZ_OK) code = check_range(from, from_offset, size, "copy", err);
    if (code != RZ_OK) return code;
    std::memmove(to->memory.data() + to_offset, from->memory.data() + from_offset, size);
    return RZ_OK;
}

} // namespace

const rz_buffer_api kBufferApi = {
    sizeof(rz_buffer_api), 0, create, destroy, map, write, read, copy};

} // namespace realizar::cpu
