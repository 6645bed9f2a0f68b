// Submissions run on the calling thread, before submit returns.
#include "core/reference/plugin/objects.h"

#include "core/reference/execute.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>

namespace realizar::reference {
namespace {

bool is_output(const Graph &graph, TensorId id) {
    return std::ranges::find(graph.outputs(), id) != graph.outputs().end();
}

// The checks of one submission, in the order of the header's promise: nothing has happened when
// one fails.
class Check {
  public:
    Check(const Queue &queue, const rz_submit &submit, rz_error *err)
        : queue_(queue), submit_(submit), program_(*object(submit.instance).program),
          instance_(object(submit.instance)), err_(err) {}

    rz_code run() const {
        if (program_.device != queue_.device)
            return fail(err_, RZ_INVALID_ARGUMENT,
                        "expected an instance of the queue's device, found another's");
        RZ_CHECK(symbols());
        RZ_CHECK(states());
        if (submit_.steps > 1)
            return fail(err_, RZ_UNSUPPORTED, "expected one step, found %u", submit_.steps);
        RZ_CHECK(check_array(submit_.updates, submit_.update_count, submit_.update_stride, "update",
                             err_));
        RZ_CHECK(check_array(submit_.reads, submit_.read_count, submit_.read_stride, "read", err_));
        for (uint32_t i = 0; i < submit_.update_count; ++i)
            RZ_CHECK(transfer(element(submit_.updates, submit_.update_stride, i), "update"));
        for (uint32_t i = 0; i < submit_.read_count; ++i)
            RZ_CHECK(transfer(element(submit_.reads, submit_.read_stride, i), "read"));
        RZ_CHECK(points(submit_.waits, submit_.wait_count, "wait"));
        RZ_CHECK(points(submit_.signals, submit_.signal_count, "signal"));
        return signals_rise();
    }

  private:
    rz_code symbols() const {
        if (submit_.symbol_count > 0 && submit_.symbols == nullptr)
            return fail(err_, RZ_INVALID_ARGUMENT, "expected %u symbol values, found NULL",
                        submit_.symbol_count);
        const Status status = ref_check_symbols(program_.graph.view(), values());
        return status ? RZ_OK : fail(err_, status.error());
    }

    rz_code states() const {
        const std::span<const rz_tensor> tensors = program_.graph.tensors();
        for (size_t i = 0; i < tensors.size(); ++i)
            if (tensors[i].role == RZ_ROLE_STATE && tensors[i].storage == i &&
                instance_.slots[i].bound == nullptr)
                return fail(err_, RZ_INVALID_ARGUMENT,
                            "tensor %zu '%s': expected a STATE with a bound buffer, found none", i,
                            tensors[i].name != nullptr ? tensors[i].name : "");
        return RZ_OK;
    }

    // An rz_update or rz_read: the right tensor, and a range within it at these symbols.
    template <class T>
    rz_code transfer(const T &item, const char *what) const {
        const std::span<const rz_tensor> tensors = program_.graph.tensors();
        const bool update = std::is_same_v<T, rz_update>;
        const bool fits = item.tensor < tensors.size() &&
                          (update ? tensors[item.tensor].role == RZ_ROLE_INPUT &&
                                        tensors[item.tensor].storage == item.tensor
                                  : is_output(program_.graph, item.tensor));
        if (!fits)
            return fail(err_, RZ_INVALID_ARGUMENT,
                        "%s: expected an %s of the region, found "
                        "tensor %u",
                        what, update ? "input" : "output", item.tensor);
        const uint64_t room = tensor_bytes(tensors[item.tensor], values());
        if (item.offset > room || item.size > room - item.offset)
            return fail(err_, RZ_INVALID_ARGUMENT,
                        "%s of tensor %u: expected a range within its %" PRIu64
                        " bytes, found %" PRIu64 " bytes from %" PRIu64,
                        what, item.tensor, room, item.size, item.offset);
        if (item.size > 0) RZ_CHECK(check_handle(item.data, what, err_));
        return RZ_OK;
    }

    rz_code points(const rz_point *list, uint32_t count, const char *what) const {
        if (count > 0 && list == nullptr)
            return fail(err_, RZ_INVALID_ARGUMENT, "expected %u %ss, found NULL", count, what);
        for (uint32_t i = 0; i < count; ++i)
            if (list[i].timeline == nullptr || object(list[i].timeline).device != queue_.device)
                return fail(err_, RZ_INVALID_ARGUMENT,
                            "%s %u: expected a timeline of the same device, found %s", what, i,
                            list[i].timeline == nullptr ? "NULL" : "another's");
        return RZ_OK;
    }

    rz_code signals_rise() const {
        for (uint32_t i = 0; i < submit_.signal_count; ++i) {
            Timeline &timeline = object(submit_.signals[i].timeline);
            const std::lock_guard lock(timeline.mutex);
            if (submit_.signals[i].value <= timeline.value)
                return fail(err_, RZ_INVALID_ARGUMENT,
                            "signal %u: expected a value above %" PRIu64 ", found %" PRIu64, i,
                            timeline.value, submit_.signals[i].value);
        }
        return RZ_OK;
    }

    std::span<const int64_t> values() const { return {submit_.symbols, submit_.symbol_count}; }

    const Queue &queue_;
    const rz_submit &submit_;
    const Program &program_;
    const Instance &instance_;
    rz_error *err_;
};

void execute(Instance &instance, const rz_submit &submit) {
    const Program &program = *instance.program;
    const rz_graph graph = program.graph.view();
    const std::span<const int64_t> symbols(submit.symbols, submit.symbol_count);
    const std::lock_guard lock(instance.running);
    Counters &counters = program.device->counters;
    // The bytes of an input, state or output at this submission.
    const auto bytes_of = [&](TensorId id) {
        Slot &slot = instance.slots[id];
        if (slot.bound != nullptr) return slot.bound;
        slot.own.grow(*program.device->host, counters, tensor_bytes(tensor_at(graph, id), symbols));
        return slot.own.data();
    };

    for (uint32_t i = 0; i < submit.update_count; ++i) {
        const rz_update &update = element(submit.updates, submit.update_stride, i);
        if (update.size == 0) continue;
        std::memcpy(bytes_of(update.tensor) + update.offset, update.data, update.size);
        counters.bytes_written += update.size;
    }

    ref_resize_temps(graph, symbols, instance.temps);
    std::vector<RefStorage> storages(graph.tensor_count);
    for (uint32_t i = 0; i < graph.tensor_count; ++i) {
        const rz_tensor &tensor = tensor_at(graph, i);
        if (tensor.storage != i) continue;
        switch (tensor.role) {
        case RZ_ROLE_TEMP: storages[i].numbers = instance.temps[i].data.data(); break;
        case RZ_ROLE_WEIGHT: // only read
            storages[i].bytes = const_cast<std::byte *>(program.weights[i]->data);
            break;
        default: storages[i].bytes = bytes_of(i);
        }
    }
    ref_execute(graph, symbols, storages);
    counters.dispatches += graph.node_count;

    for (const TensorId id : program.graph.outputs()) {
        const rz_tensor &tensor = tensor_at(graph, id);
        ref_encode(tensor.dtype, instance.temps[id].data, bytes_of(id));
    }
    for (uint32_t i = 0; i < submit.read_count; ++i) {
        const rz_read &read = element(submit.reads, submit.read_stride, i);
        if (read.size == 0) continue;
        std::memcpy(read.data, bytes_of(read.tensor) + read.offset, read.size);
        counters.bytes_read += read.size;
    }
    counters.submissions += 1;
}

// Waits and runs; what goes wrong here belongs to the signals.
rz_code wait_and_execute(const rz_submit &submit, rz_error *err) {
    return guarded(err, [&]() -> rz_code {
        for (uint32_t i = 0; i < submit.wait_count; ++i)
            RZ_CHECK(object(submit.waits[i].timeline).wait(submit.waits[i].value, UINT64_MAX, err));
        execute(object(submit.instance), submit);
        return RZ_OK;
    });
}

rz_code create(rz_device *device, rz_queue **out, rz_error *err) {
    return guarded(err, [&]() -> rz_code {
        RZ_CHECK(check_handle(device, "device", err));
        RZ_CHECK(check_handle(out, "place for the queue", err));
        *out = handle(new Queue{&object(device)});
        return RZ_OK;
    });
}

rz_code submit(rz_queue *queue, const rz_submit *submit, rz_error *err) {
    return guarded(err, [&]() -> rz_code {
        RZ_CHECK(check_handle(queue, "queue", err));
        RZ_CHECK(check_struct(submit, "submit", err));
        RZ_CHECK(check_handle(submit->instance, "instance", err));
        RZ_CHECK(Check(object(queue), *submit, err).run());
        rz_error failure{};
        failure.struct_size = sizeof failure;
        const rz_code code = wait_and_execute(*submit, &failure);
        for (uint32_t i = 0; i < submit->signal_count; ++i) {
            Timeline &timeline = object(submit->signals[i].timeline);
            if (code == RZ_OK)
                timeline.advance(submit->signals[i].value);
            else
                timeline.fail_with(code, failure.message);
        }
        return RZ_OK;
    });
}

void destroy(rz_queue *queue) { destroy_object(queue); }

} // namespace

const rz_queue_api kQueueApi = {sizeof(rz_queue_api), 0, create, submit, destroy};

} // namespace realizar::reference
