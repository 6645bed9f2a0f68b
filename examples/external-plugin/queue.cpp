// The queue: checks, waits, copies the updates in, computes, copies the reads out, signals. All of it
// on the thread that submits, so the device does not claim RZ_CAP_ASYNC.
#include "scale.h"

#include <cstring>

struct rz_queue {
    rz_device *device;
};

namespace scale {
namespace {

rz_code create(rz_device *device, rz_queue **out, rz_error *err) {
    return guarded(err, [&] { *out = new rz_queue{device}; });
}

void destroy(rz_queue *queue) { delete queue; }

// rz_update and rz_read name a range of a tensor in the same way.
template <class T>
void check_range(const Plan &plan, const rz_submit &work, const T &range) {
    check_struct(&range);
    require(range.tensor < plan.tensors.size(), "a tensor of the program");
    const rz_tensor &tensor = plan.tensors[range.tensor];
    const uint64_t size = bytes_of(tensor, rows_of(tensor, work.symbols));
    require(tensor.storage == range.tensor, "a tensor that is no view");
    require(range.offset <= size && range.size <= size - range.offset &&
                (range.data || range.size == 0),
            "data and a range inside the tensor");
}

void check(const rz_submit &work) {
    const Plan &plan = work.instance->program->plan;
    require(work.steps <= 1, "one step", RZ_UNSUPPORTED);
    require(work.symbol_count == plan.symbols.size() && (work.symbols || work.symbol_count == 0),
            "one value per symbol");
    for (uint32_t i = 0; i < work.symbol_count; ++i)
        require(work.symbols[i] >= plan.symbols[i].min && work.symbols[i] <= plan.symbols[i].max,
                "symbol values inside their bounds");
    for (uint32_t i = 0; i < plan.tensors.size(); ++i)
        require(plan.tensors[i].storage != i || work.instance->storage[i],
                "a buffer for each state");
    require(work.update_count == 0 || work.update_stride >= sizeof(rz_update),
            "a stride of updates");
    require(work.read_count == 0 || work.read_stride >= sizeof(rz_read), "a stride of reads");
    for (uint32_t i = 0; i < work.update_count; ++i) {
        const rz_update &update = at(work.updates, work.update_stride, i);
        check_range(plan, work, update);
        require(plan.tensors[update.tensor].role == RZ_ROLE_INPUT, "an input to update");
    }
    for (uint32_t i = 0; i < work.read_count; ++i) {
        const rz_read &range = at(work.reads, work.read_stride, i);
        check_range(plan, work, range);
        bool output = false;
        for (const uint32_t tensor : plan.outputs)
            output = output || tensor == range.tensor;
        require(output, "an output to read");
    }
    for (uint32_t i = 0; i < work.signal_count; ++i) {
        rz_timeline &timeline = *work.signals[i].timeline;
        const std::lock_guard<std::mutex> lock(timeline.mutex);
        require(work.signals[i].value > timeline.value, "signals above the present values");
    }
}

std::byte *data_of(const rz_instance &instance, const rz_tensor &tensor) {
    return instance.storage[tensor.storage] + tensor.offset;
}

// Any rank from 1 to 4 and any outer strides: the shape is filled up with ones in front.
void run(const rz_submit &work, const Step &step) {
    const Plan &plan = work.instance->program->plan;
    const rz_tensor &x = plan.tensors[step.input];
    const rz_tensor &y = plan.tensors[step.output];
    int64_t dims[4] = {1, 1, 1, 1}, from[4] = {}, to[4] = {};
    for (uint32_t i = 0; i < x.rank; ++i) {
        const uint32_t d = 4 - x.rank + i;
        dims[d] = i == 0 ? rows_of(x, work.symbols) : x.dims[i];
        from[d] = x.strides[i];
        to[d] = y.strides[i];
    }
    const std::byte *source = data_of(*work.instance, x);
    std::byte *target = data_of(*work.instance, y);
    for (int64_t a = 0; a < dims[0]; ++a)
        for (int64_t b = 0; b < dims[1]; ++b)
            for (int64_t c = 0; c < dims[2]; ++c) {
                const auto *in = reinterpret_cast<const float *>(source + a * from[0] +
                                                                 b * from[1] + c * from[2]);
                auto *out = reinterpret_cast<float *>(target + a * to[0] + b * to[1] + c * to[2]);
                for (int64_t d = 0; d < dims[3]; ++d)
                    out[d] = in[d] * step.factor + step.bias;
            }
}

void execute(rz_queue *queue, const rz_submit &work) {
    for (uint32_t i = 0; i < work.wait_count; ++i)
        wait_timeline(*work.waits[i].timeline, work.waits[i].value, UINT64_MAX);
    const rz_instance &instance = *work.instance;
    for (uint32_t i = 0; i < work.update_count; ++i) {
        const rz_update &update = at(work.updates, work.update_stride, i);
        if (update.size > 0)
            std::memcpy(instance.storage[update.tensor] + update.offset, update.data, update.size);
    }
    for (const Step &step : instance.program->plan.steps)
        run(work, step);
    for (uint32_t i = 0; i < work.read_count; ++i) {
        const rz_read &range = at(work.reads, work.read_stride, i);
        if (range.size > 0)
            std::memcpy(range.data, instance.storage[range.tensor] + range.offset, range.size);
    }
    queue->device->submissions += 1;
    queue->device->dispatches += instance.program->plan.steps.size();
}

rz_code submit(rz_queue *queue, const rz_submit *work, rz_error *err) {
    const rz_code code = guarded(err, [&] {
        check_struct(work);
        require(work->instance != nullptr, "an instance");
        check(*work);
    });
    if (code != RZ_OK) return code;
    Failure failure{RZ_OK, ""};
    try {
        execute(queue, *work);
    } catch (const Failure &caught) { // a wait that failed: so do our signals
        failure = caught;
    }
    for (uint32_t i = 0; i < work->signal_count; ++i) {
        if (failure.code == RZ_OK)
            advance_timeline(*work->signals[i].timeline, work->signals[i].value);
        else
            break_timeline(*work->signals[i].timeline, failure);
    }
    return RZ_OK;
}

} // namespace

const rz_queue_api queue_api = {sizeof(rz_queue_api), 0, create, submit, destroy};

} // namespace scale
