/* Buffers in host memory. */
#include "null.h"

#include <stdlib.h>
#include <string.h>

unsigned char *null_allocate(rz_device *device, uint64_t size) {
    unsigned char *memory = device->host->alloc(device->host->self, size, NULL_ALIGNMENT);
    if (!memory) return NULL;
    memset(memory, 0, size);
    null_counters *counters = &device->counters;
    atomic_fetch_add(&counters->allocations, 1);
    const uint64_t used = atomic_fetch_add(&counters->memory_used, size) + size;
    uint_fast64_t peak = atomic_load(&counters->memory_peak);
    while (peak < used && !atomic_compare_exchange_weak(&counters->memory_peak, &peak, used)) {
    }
    return memory;
}

void null_release(rz_device *device, unsigned char *memory, uint64_t size) {
    if (!memory) return;
    atomic_fetch_sub(&device->counters.memory_used, size);
    device->host->free(device->host->self, memory);
}

static rz_code create(rz_device *device, uint64_t size, rz_buffer **out, rz_error *err) {
    if (!device || !out)
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected a device and a place, found NULL");
    *out = NULL;
    rz_buffer *buffer = malloc(sizeof *buffer);
    if (!buffer) return null_fail(err, RZ_OUT_OF_MEMORY, "no memory for a buffer");
    buffer->device = device;
    buffer->size = size;
    buffer->data = null_allocate(device, size);
    if (!buffer->data) {
        free(buffer);
        return null_fail(err, RZ_OUT_OF_MEMORY, "no memory for a buffer of %llu bytes",
                         (unsigned long long)size);
    }
    *out = buffer;
    return RZ_OK;
}

static void destroy(rz_buffer *buffer) {
    if (!buffer) return;
    null_release(buffer->device, buffer->data, buffer->size);
    free(buffer);
}

static void *map(rz_buffer *buffer) { return buffer ? buffer->data : NULL; }

/* [offset, offset + size) inside the buffer, written so that the sum cannot wrap. */
static rz_code check_range(const rz_buffer *buffer, uint64_t offset, uint64_t size, rz_error *err) {
    if (!buffer) return null_fail(err, RZ_INVALID_ARGUMENT, "expected a buffer, found NULL");
    if (offset > buffer->size || size > buffer->size - offset)
        return null_fail(err, RZ_INVALID_ARGUMENT,
                         "expected a range inside the buffer's %llu bytes, found %llu at %llu",
                         (unsigned long long)buffer->size, (unsigned long long)size,
                         (unsigned long long)offset);
    return RZ_OK;
}

static rz_code write_bytes(rz_buffer *buffer, uint64_t offset, const void *data, uint64_t size,
                           rz_error *err) {
    const rz_code code = check_range(buffer, offset, size, err);
    if (code != RZ_OK || size == 0) return code;
    if (!data) return null_fail(err, RZ_INVALID_ARGUMENT, "expected data, found NULL");
    memcpy(buffer->data + offset, data, size);
    atomic_fetch_add(&buffer->device->counters.bytes_written, size);
    return RZ_OK;
}

static rz_code read_bytes(rz_buffer *buffer, uint64_t offset, void *data, uint64_t size,
                          rz_error *err) {
    const rz_code code = check_range(buffer, offset, size, err);
    if (code != RZ_OK || size == 0) return code;
    if (!data) return null_fail(err, RZ_INVALID_ARGUMENT, "expected room for data, found NULL");
    memcpy(data, buffer->data + offset, size);
    atomic_fetch_add(&buffer->device->counters.bytes_read, size);
    return RZ_OK;
}

static rz_code copy(rz_buffer *to, uint64_t to_offset, rz_buffer *from, uint64_t from_offset,
                    uint64_t size, rz_error *err) {
    rz_code code = check_range(to, to_offset, size, err);
    if (code == RZ_OK) code = check_range(from, from_offset, size, err);
    if (code != RZ_OK || size == 0) return code;
    memmove(to->data + to_offset, from->data + from_offset, size);
    return RZ_OK;
}

const rz_buffer_api null_buffer_api = {
    .struct_size = sizeof(rz_buffer_api),
    .create = create,
    .destroy = destroy,
    .map = map,
    .write = write_bytes,
    .read = read_bytes,
    .copy = copy,
};
