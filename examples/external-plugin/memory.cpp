// Buffers, timelines, and a weight set: SCALE has no weights, so a set is always empty.
#include "scale.h"

#include <chrono>
#include <cstring>

struct rz_weights {};

namespace scale {
namespace {

rz_code create_buffer(rz_device *device, uint64_t size, rz_buffer **out, rz_error *err) {
    return guarded(err, [&] {
        require(device && out, "a device and a place");
        require(size < uint64_t{1} << 48, "a size that fits into memory", RZ_OUT_OF_MEMORY);
        *out = new rz_buffer{std::vector<std::byte>(size)};
    });
}

void destroy_buffer(rz_buffer *buffer) { delete buffer; }

void *map(rz_buffer *buffer) { return buffer->bytes.data(); }

void check_range(const rz_buffer *buffer, uint64_t offset, uint64_t size) {
    require(buffer && offset <= buffer->bytes.size() && size <= buffer->bytes.size() - offset,
            "a range inside the buffer");
}

rz_code write(rz_buffer *buffer, uint64_t offset, const void *data, uint64_t size, rz_error *err) {
    return guarded(err, [&] {
        check_range(buffer, offset, size);
        if (size > 0) std::memcpy(buffer->bytes.data() + offset, data, size);
    });
}

rz_code read(rz_buffer *buffer, uint64_t offset, void *data, uint64_t size, rz_error *err) {
    return guarded(err, [&] {
        check_range(buffer, offset, size);
        if (size > 0) std::memcpy(data, buffer->bytes.data() + offset, size);
    });
}

rz_code copy(rz_buffer *to, uint64_t to_offset, rz_buffer *from, uint64_t from_offset,
             uint64_t size, rz_error *err) {
    return guarded(err, [&] {
        check_range(to, to_offset, size);
        check_range(from, from_offset, size);
        if (size > 0)
            std::memmove(to->bytes.data() + to_offset, from->bytes.data() + from_offset, size);
    });
}

void refuse_weights(const rz_graph *graph) {
    check_struct(graph);
    for (const rz_tensor &tensor : read_tensors(*graph))
        require(tensor.role != RZ_ROLE_WEIGHT, "a graph without weights", RZ_UNSUPPORTED);
}

rz_code plan_weights(rz_device *, const rz_graph *graph, rz_weights_plan *out, rz_error *err) {
    return guarded(err, [&] {
        check_struct(out);
        refuse_weights(graph);
        out->resident = out->aliased = out->scratch = 0;
    });
}

rz_code create_weights(rz_device *, const rz_graph *graph, uint64_t, rz_weights **out,
                       rz_error *err) {
    return guarded(err, [&] {
        refuse_weights(graph);
        *out = new rz_weights;
    });
}

void destroy_weights(rz_weights *weights) { delete weights; }

rz_code load(rz_weights *, uint64_t, uint64_t, uint64_t, const void *, uint64_t, uint32_t,
             rz_error *err) {
    return report(err, {RZ_INVALID_ARGUMENT, "expected no weight: the graph has none"});
}

rz_code finish(rz_weights *, rz_error *) { return RZ_OK; }

rz_code create_timeline(rz_device *, uint64_t initial, rz_timeline **out, rz_error *err) {
    return guarded(err, [&] {
        auto timeline = std::make_unique<rz_timeline>();
        timeline->value = initial;
        *out = timeline.release();
    });
}

rz_code query(rz_timeline *timeline, uint64_t *value, rz_error *err) {
    return guarded(err, [&] {
        const std::lock_guard<std::mutex> lock(timeline->mutex);
        *value = timeline->value;
    });
}

rz_code wait(rz_timeline *timeline, uint64_t value, uint64_t timeout_ns, rz_error *err) {
    return guarded(err, [&] { wait_timeline(*timeline, value, timeout_ns); });
}

rz_code signal(rz_timeline *timeline, uint64_t value, rz_error *err) {
    return guarded(err, [&] {
        const std::lock_guard<std::mutex> lock(timeline->mutex);
        require(value > timeline->value, "a value above the present one");
        timeline->value = value;
        timeline->changed.notify_all();
    });
}

void destroy_timeline(rz_timeline *timeline) { delete timeline; }

} // namespace

void break_timeline(rz_timeline &timeline, const Failure &failure) {
    const std::lock_guard<std::mutex> lock(timeline.mutex);
    if (timeline.failure == RZ_OK) {
        timeline.failure = failure.code;
        timeline.message = failure.message;
    }
    timeline.changed.notify_all();
}

void advance_timeline(rz_timeline &timeline, uint64_t value) {
    const std::lock_guard<std::mutex> lock(timeline.mutex);
    if (value > timeline.value) timeline.value = value;
    timeline.changed.notify_all();
}

void wait_timeline(rz_timeline &timeline, uint64_t value, uint64_t timeout_ns) {
    constexpr uint64_t kForEver = uint64_t{1} << 60; // nanoseconds: 36 years
    std::unique_lock<std::mutex> lock(timeline.mutex);
    const auto ended = [&] { return timeline.failure != RZ_OK || timeline.value >= value; };
    const std::chrono::nanoseconds limit(timeout_ns < kForEver ? timeout_ns : kForEver);
    timeline.changed.wait_for(lock, limit, ended);
    if (timeline.failure != RZ_OK) throw Failure{timeline.failure, timeline.message};
    require(timeline.value >= value, "the value before the time was over", RZ_TIMEOUT);
}

const rz_buffer_api buffer_api = {
    sizeof(rz_buffer_api), 0, create_buffer, destroy_buffer, map, write, read, copy};
const rz_weights_api weights_api = {sizeof(rz_weights_api), 0,    plan_weights, create_weights,
                                    destroy_weights,        load, finish};
const rz_timeline_api timeline_api = {
    sizeof(rz_timeline_api), 0, create_timeline, query, wait, signal, destroy_timeline};

} // namespace scale
