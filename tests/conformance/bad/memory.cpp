#include "objects.h"

#include <chrono>
#include <cstring>

namespace {

constexpr uint64_t kLargest = 1ull << 36;

rz_code buffer_create(rz_device *, uint64_t size, rz_buffer **out, rz_error *err) {
    if (size > kLargest) return fail(err, RZ_OUT_OF_MEMORY, "expected at most 64 GiB");
    auto *buffer = new rz_buffer;
    buffer->bytes.resize(size);
    if (has(Fault::dirty_buffer) && size > 100) buffer->bytes[size / 2] = 1;
    *out = buffer;
    return RZ_OK;
}

void buffer_destroy(rz_buffer *buffer) { delete buffer; }
void *buffer_map(rz_buffer *buffer) { return buffer->bytes.data(); }

bool inside(const rz_buffer *buffer, uint64_t offset, uint64_t size) {
    if (has(Fault::read_out_of_range_wraps)) return offset + size <= buffer->bytes.size();
    return offset <= buffer->bytes.size() && size <= buffer->bytes.size() - offset;
}

rz_code buffer_write(rz_buffer *buffer, uint64_t offset, const void *data, uint64_t size,
                     rz_error *err) {
    if (!inside(buffer, offset, size)) {
        if (has(Fault::write_out_of_range) && offset < buffer->bytes.size())
            std::memcpy(buffer->bytes.data() + offset, data, buffer->bytes.size() - offset);
        return fail(err, RZ_INVALID_ARGUMENT, "write outside of the buffer");
    }
    if (size > 0) std::memcpy(buffer->bytes.data() + offset, data, size);
    return RZ_OK;
}

rz_code buffer_read(rz_buffer *buffer, uint64_t offset, void *data, uint64_t size, rz_error *err) {
    if (!inside(buffer, offset, size))
        return fail(err, RZ_INVALID_ARGUMENT, "read outside of the buffer");
    if (size > 0) std::memcpy(data, buffer->bytes.data() + offset, size);
    return RZ_OK;
}

rz_code buffer_copy(rz_buffer *to, uint64_t to_offset, rz_buffer *from, uint64_t from_offset,
                    uint64_t size, rz_error *err) {
    if (!inside(to, to_offset, size) || !inside(from, from_offset, size))
        return fail(err, RZ_INVALID_ARGUMENT, "copy outside of a buffer");
    if (size > 0)
        std::memmove(to->bytes.data() + to_offset, from->bytes.data() + from_offset, size);
    return RZ_OK;
}

rz_code timeline_create(rz_device *, uint64_t initial, rz_timeline **out, rz_error *) {
    *out = new rz_timeline;
    (*out)->value = initial;
    return RZ_OK;
}

rz_code timeline_query(rz_timeline *timeline, uint64_t *value, rz_error *err) {
    const std::lock_guard lock(timeline->mutex);
    *value = timeline->value;
    if (timeline->failure != RZ_OK)
        return fail(err, timeline->failure, "%s", timeline->message.c_str());
    return RZ_OK;
}

rz_code timeline_signal(rz_timeline *timeline, uint64_t value, rz_error *err) {
    {
        const std::lock_guard lock(timeline->mutex);
        if (value <= timeline->value && !has(Fault::timeline_falls))
            return fail(err, RZ_INVALID_ARGUMENT, "expected a value above the present one");
    }
    return timeline_reach(timeline, value, RZ_OK, "");
}

rz_code timeline_wait_abi(rz_timeline *timeline, uint64_t value, uint64_t timeout_ns,
                          rz_error *err) {
    if (has(Fault::wait_never_times_out)) timeout_ns = UINT64_MAX;
    std::string message;
    const rz_code code = timeline_wait(timeline, value, timeout_ns, message);
    return code == RZ_OK ? RZ_OK : fail(err, code, "%s", message.c_str());
}

void timeline_destroy(rz_timeline *timeline) { delete timeline; }

} // namespace

rz_code timeline_reach(rz_timeline *timeline, uint64_t value, rz_code failure,
                       const std::string &message) {
    const std::lock_guard lock(timeline->mutex);
    timeline->value = value;
    if (failure != RZ_OK && timeline->failure == RZ_OK) {
        timeline->failure = failure;
        timeline->message = message;
    }
    timeline->changed.notify_all();
    return RZ_OK;
}

rz_code timeline_wait(rz_timeline *timeline, uint64_t value, uint64_t timeout_ns,
                      std::string &message) {
    std::unique_lock lock(timeline->mutex);
    const auto done = [&] { return timeline->value >= value || timeline->failure != RZ_OK; };
    if (timeout_ns == UINT64_MAX) {
        timeline->changed.wait(lock, done);
    } else if (!timeline->changed.wait_for(lock, std::chrono::nanoseconds(timeout_ns), done)) {
        message = "the value was not reached in time";
        return RZ_TIMEOUT;
    }
    message = timeline->message;
    return timeline->failure;
}

const rz_buffer_api kBufferApi = {sizeof(rz_buffer_api), 0,          buffer_create,
                                  buffer_destroy,        buffer_map, buffer_write,
                                  buffer_read,           buffer_copy};
const rz_timeline_api kTimelineApi = {
    sizeof(rz_timeline_api), 0, timeline_create, timeline_query, timeline_wait_abi, timeline_signal,
    timeline_destroy};
