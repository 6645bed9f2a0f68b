#include "objects.h"

#include <algorithm>
#include <cstring>

using realizar::Graph;

namespace {

template <class T>
const T &element(const T *array, uint32_t stride, uint32_t i) {
    if (has(Fault::ignores_array_stride)) stride = sizeof(T);
    return *reinterpret_cast<const T *>(reinterpret_cast<const uint8_t *>(array) +
                                        size_t{i} * stride);
}

bool inside(const Graph &graph, uint32_t tensor, uint64_t offset, uint64_t size) {
    const uint64_t room = realizar::tensor_max_bytes(graph.view(), graph.tensors()[tensor]);
    return offset <= room && size <= room - offset;
}

rz_code check_symbols(const Graph &graph, const rz_submit &submit, rz_error *err) {
    if (has(Fault::accepts_bad_symbol)) return RZ_OK;
    if (submit.symbol_count != graph.symbols().size())
        return fail(err, RZ_INVALID_ARGUMENT, "symbols: expected %zu values, found %u",
                    graph.symbols().size(), submit.symbol_count);
    for (uint32_t i = 0; i < submit.symbol_count; ++i)
        if (submit.symbols[i] < graph.symbols()[i].min ||
            submit.symbols[i] > graph.symbols()[i].max)
            return fail(err, RZ_INVALID_ARGUMENT, "symbol %u: out of bounds", i);
    return RZ_OK;
}

void apply_updates(rz_instance &instance, const rz_submit &submit) {
    for (uint32_t i = 0; i < submit.update_count; ++i) {
        const rz_update &update = element(submit.updates, submit.update_stride, i);
        if (update.size > 0)
            std::memcpy(instance.storage(update.tensor) + update.offset, update.data, update.size);
    }
}

rz_code check_ranges(rz_instance &instance, const rz_submit &submit, rz_error *err) {
    const Graph &graph = instance.program->graph;
    for (uint32_t i = 0; i < submit.update_count; ++i) {
        const rz_update &update = element(submit.updates, submit.update_stride, i);
        if (unknown_required(update.flags)) return fail(err, RZ_UNSUPPORTED, "update: flags");
        const bool input = update.tensor < graph.tensors().size() &&
                           graph.tensors()[update.tensor].role == RZ_ROLE_INPUT &&
                           graph.tensors()[update.tensor].storage == update.tensor;
        if (!input || !inside(graph, update.tensor, update.offset, update.size))
            return fail(err, RZ_INVALID_ARGUMENT, "update %u: outside of an input", i);
    }
    if (has(Fault::applies_refused_update)) apply_updates(instance, submit);
    for (uint32_t i = 0; i < submit.read_count; ++i) {
        const rz_read &read = element(submit.reads, submit.read_stride, i);
        if (unknown_required(read.flags)) return fail(err, RZ_UNSUPPORTED, "read: flags");
        if (std::ranges::count(graph.outputs(), read.tensor) == 0 ||
            !inside(graph, read.tensor, read.offset, read.size))
            return fail(err, RZ_INVALID_ARGUMENT, "read %u: outside of an output", i);
    }
    for (uint32_t i = 0; i < graph.tensors().size(); ++i)
        if (graph.tensors()[i].role == RZ_ROLE_STATE && graph.tensors()[i].storage == i &&
            instance.storage(i) == nullptr && !has(Fault::accepts_unbound_state))
            return fail(err, RZ_INVALID_ARGUMENT, "state '%s' is not bound",
                        graph.tensors()[i].name);
    return RZ_OK;
}

rz_code queue_create(rz_device *device, rz_queue **out, rz_error *) {
    *out = new rz_queue{device};
    return RZ_OK;
}

// One memory for all instances of a process: what `shares_scratch` is about.
std::vector<std::vector<uint8_t>> shared_memory;

void run(rz_instance &instance, const rz_submit &submit) {
    if (has(Fault::shares_scratch)) {
        if (shared_memory.size() == instance.own.size()) instance.own = shared_memory;
    }
    if (!has(Fault::keeps_first_symbols) || instance.symbols.empty())
        instance.symbols.assign(submit.symbols, submit.symbols + submit.symbol_count);
    apply_updates(instance, submit);
    execute(instance);
    for (uint32_t i = 0; i < submit.read_count; ++i) {
        const rz_read &read = element(submit.reads, submit.read_stride, i);
        if (read.size > 0)
            std::memcpy(read.data, instance.storage(read.tensor) + read.offset, read.size);
    }
    if (has(Fault::shares_scratch)) shared_memory = instance.own;
}

rz_code queue_submit(rz_queue *queue, const rz_submit *submit, rz_error *err) {
    if (unknown_required(submit->flags)) return fail(err, RZ_UNSUPPORTED, "submit: flags");
    if (submit->steps > 1) return fail(err, RZ_UNSUPPORTED, "submit: steps");
    rz_instance &instance = *submit->instance;
    if (const rz_code code = check_symbols(instance.program->graph, *submit, err); code != RZ_OK)
        return code;
    if (const rz_code code = check_ranges(instance, *submit, err); code != RZ_OK) return code;
    rz_code failure = RZ_OK;
    std::string message;
    for (uint32_t i = 0; i < submit->wait_count && failure == RZ_OK; ++i) {
        const rz_point &point = submit->waits[i];
        failure = timeline_wait(point.timeline, point.value, UINT64_MAX, message);
        if (has(Fault::failure_stops_at_wait)) failure = RZ_OK;
    }
    if (failure == RZ_OK) {
        failure = queue->device->next_failure.exchange(RZ_OK);
        message = "failed on request";
    }
    if (failure == RZ_OK) {
        const std::lock_guard lock(instance.running);
        run(instance, *submit);
        ++queue->device->submissions;
    }
    for (uint32_t i = 0; i < submit->signal_count; ++i)
        timeline_reach(submit->signals[i].timeline, submit->signals[i].value, failure, message);
    return RZ_OK;
}

void queue_destroy(rz_queue *queue) { delete queue; }

} // namespace

const rz_queue_api kQueueApi = {sizeof(rz_queue_api), 0, queue_create, queue_submit, queue_destroy};
