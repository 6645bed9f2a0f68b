#include "plugins/opencl/buffer.h"

#include <memory>

namespace realizar::opencl {

namespace {

rz_code create(rz_device *device, uint64_t size, rz_buffer **out, rz_error *err) {
    return guarded(err, [&] {
        if (!device || !out)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "buffer.create: NULL argument");
        auto buffer =
            std::unique_ptr<rz_buffer>(new rz_buffer{*device, device->gpu.allocate(size), size});
        device->gpu.zero(buffer->memory);
        *out = buffer.release();
        return RZ_OK;
    });
}

void destroy(rz_buffer *buffer) { delete buffer; }

void *map(rz_buffer *buffer) { return buffer ? buffer->memory.host() : nullptr; }

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
    return guarded(err, [&] {
        const rz_code code = check_range(buffer, offset, size, "write", err);
        if (code != RZ_OK) return code;
        if (size && !data)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "buffer.write: NULL data");
        buffer->device.gpu.write(buffer->memory, offset, data, size);
        buffer->device.gpu.counters().bytes_written += size;
        return RZ_OK;
    });
}

rz_code read(rz_buffer *buffer, uint64_t offset, void *data, uint64_t size, rz_error *err) {
    return guarded(err, [&] {
        const rz_code code = check_range(buffer, offset, size, "read", err);
        if (code != RZ_OK) return code;
        if (size && !data) return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "buffer.read: NULL data");
        buffer->device.gpu.read(buffer->memory, offset, data, size);
        buffer->device.gpu.counters().bytes_read += size;
        return RZ_OK;
    });
}

rz_code copy(rz_buffer *to, uint64_t to_offset, rz_buffer *from, uint64_t from_offset,
             uint64_t size, rz_error *err) {
    return guarded(err, [&] {
        rz_code code = check_range(to, to_offset, size, "copy", err);
        if (code == RZ_OK) code = check_range(from, from_offset, size, "copy", err);
        if (code != RZ_OK) return code;
        to->device.gpu.copy(to->memory, to_offset, from->memory, from_offset, size);
        return RZ_OK;
    });
}

} // namespace

const rz_buffer_api kBufferApi = {
    sizeof(rz_buffer_api), 0, create, destroy, map, write, read, copy};

} // namespace realizar::opencl
