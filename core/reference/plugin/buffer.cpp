#include "core/reference/plugin/objects.h"

#include <cinttypes>
#include <cstring>

namespace realizar::reference {
namespace {

rz_code check_range(const Buffer &buffer, uint64_t offset, uint64_t size, rz_error *err) {
    if (offset <= buffer.memory.size() && size <= buffer.memory.size() - offset) return RZ_OK;
    return fail(err, RZ_INVALID_ARGUMENT,
                "expected a range within the %" PRIu64 " bytes of the buffer, found %" PRIu64
                " bytes from %" PRIu64,
                buffer.memory.size(), size, offset);
}

rz_code create(rz_device *device, uint64_t size, rz_buffer **out, rz_error *err) {
    return guarded(err, [&]() -> rz_code {
        RZ_CHECK(check_handle(device, "device", err));
        RZ_CHECK(check_handle(out, "place for the buffer", err));
        Device &owner = object(device);
        *out = handle(new Buffer{&owner, HostMemory(*owner.host, owner.counters, size)});
        return RZ_OK;
    });
}

void destroy(rz_buffer *buffer) { destroy_object(buffer); }

void *map(rz_buffer *buffer) { return buffer == nullptr ? nullptr : object(buffer).memory.data(); }

rz_code write(rz_buffer *buffer, uint64_t offset, const void *data, uint64_t size, rz_error *err) {
    RZ_CHECK(check_handle(buffer, "buffer", err));
    Buffer &to = object(buffer);
    RZ_CHECK(check_range(to, offset, size, err));
    if (size == 0) return RZ_OK;
    RZ_CHECK(check_handle(data, "source", err));
    std::memcpy(to.memory.data() + offset, data, size);
    to.device->counters.bytes_written += size;
    return RZ_OK;
}

rz_code read(rz_buffer *buffer, uint64_t offset, void *data, uint64_t size, rz_error *err) {
    RZ_CHECK(check_handle(buffer, "buffer", err));
    const Buffer &from = object(buffer);
    RZ_CHECK(check_range(from, offset, size, err));
    if (size == 0) return RZ_OK;
    RZ_CHECK(check_handle(data, "destination", err));
    std::memcpy(data, from.memory.data() + offset, size);
    from.device->counters.bytes_read += size;
    return RZ_OK;
}

// The ranges may overlap.
rz_code copy(rz_buffer *to, uint64_t to_offset, rz_buffer *from, uint64_t from_offset,
             uint64_t size, rz_error *err) {
    RZ_CHECK(check_handle(to, "destination buffer", err));
    RZ_CHECK(check_handle(from, "source buffer", err));
    RZ_CHECK(check_range(object(to), to_offset, size, err));
    RZ_CHECK(check_range(object(from), from_offset, size, err));
    if (size > 0)
        std::memmove(object(to).memory.data() + to_offset, object(from).memory.data() + from_offset,
                     size);
    return RZ_OK;
}

} // namespace

const rz_buffer_api kBufferApi = {
    sizeof(rz_buffer_api), 0, create, destroy, map, write, read, copy};

} // namespace realizar::reference
