/* The queue: checks a whole submission, waits, runs it on the calling thread, signals. A plugin with
 * RZ_CAP_ASYNC hands the last three to its driver and returns. */
#include "null.h"

#include <stdlib.h>

static rz_code create(rz_device *device, rz_queue **out, rz_error *err) {
    if (!device || !out)
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected a device and a place, found NULL");
    *out = malloc(sizeof **out);
    if (!*out) return null_fail(err, RZ_OUT_OF_MEMORY, "no memory for a queue");
    (*out)->device = device;
    return RZ_OK;
}

static void destroy(rz_queue *queue) { free(queue); }

static rz_code check_symbols(const rz_program *program, const rz_submit *submit, rz_error *err) {
    if (submit->symbol_count != program->symbol_count ||
        (program->symbol_count > 0 && !submit->symbols))
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected %u symbol values, found %u",
                         program->symbol_count, submit->symbol_count);
    for (uint32_t i = 0; i < program->symbol_count; ++i) {
        const rz_symbol *symbol = &program->symbols[i];
        if (submit->symbols[i] < symbol->min || submit->symbols[i] > symbol->max)
            return null_fail(err, RZ_INVALID_ARGUMENT,
                             "symbol %u: expected a value from %lld to %lld, found %lld", i,
                             (long long)symbol->min, (long long)symbol->max,
                             (long long)submit->symbols[i]);
    }
    return RZ_OK;
}

static rz_code check_states(const rz_instance *instance, rz_error *err) {
    for (uint32_t i = 0; i < instance->program->tensor_count; ++i) {
        const rz_tensor *tensor = &instance->program->tensors[i];
        if (tensor->role == RZ_ROLE_STATE && tensor->storage == i && !instance->bound[i])
            return null_fail(err, RZ_INVALID_ARGUMENT, "state %u: expected a buffer, found none",
                             i);
    }
    return RZ_OK;
}

static rz_code check_update(const rz_program *program, const rz_submit *submit,
                            const rz_update *update, rz_error *err) {
    const rz_code code = null_check_struct(update, sizeof *update, 0, "rz_update", err);
    if (code != RZ_OK) return code;
    if (update->tensor >= program->tensor_count ||
        program->tensors[update->tensor].role != RZ_ROLE_INPUT ||
        program->tensors[update->tensor].storage != update->tensor)
        return null_fail(err, RZ_INVALID_ARGUMENT, "update: expected an input, found tensor %u",
                         update->tensor);
    const rz_tensor *tensor = &program->tensors[update->tensor];
    const int64_t dim = tensor->dims[0];
    const int64_t rows = dim < 0 ? submit->symbols[RZ_SYMBOL_INDEX(dim)] : dim;
    const uint64_t room = null_tensor_bytes(tensor, rows);
    if (update->offset > room || update->size > room - update->offset ||
        (!update->data && update->size > 0))
        return null_fail(err, RZ_INVALID_ARGUMENT,
                         "update of tensor %u: expected data inside its %llu bytes, found %llu at "
                         "%llu",
                         update->tensor, (unsigned long long)room, (unsigned long long)update->size,
                         (unsigned long long)update->offset);
    return RZ_OK;
}

static rz_code check_lists(const rz_submit *submit, rz_error *err) {
    if ((submit->update_count > 0 &&
         (!submit->updates || submit->update_stride < sizeof(rz_update))) ||
        (submit->wait_count > 0 && !submit->waits) ||
        (submit->signal_count > 0 && !submit->signals))
        return null_fail(err, RZ_INVALID_ARGUMENT,
                         "expected lists that are not NULL, with updates at least %zu bytes apart",
                         sizeof(rz_update));
    for (uint32_t i = 0; i < submit->wait_count; ++i)
        if (!submit->waits[i].timeline)
            return null_fail(err, RZ_INVALID_ARGUMENT, "wait %u: expected a timeline", i);
    for (uint32_t i = 0; i < submit->signal_count; ++i) {
        const rz_point *point = &submit->signals[i];
        if (!point->timeline || point->value <= null_timeline_value(point->timeline))
            return null_fail(err, RZ_INVALID_ARGUMENT,
                             "signal %u: expected a timeline and a value above its own, found %llu",
                             i, (unsigned long long)point->value);
    }
    return RZ_OK;
}

static rz_code check_submit(const rz_submit *submit, rz_error *err) {
    rz_code code = null_check_struct(submit, sizeof *submit, 0, "rz_submit", err);
    if (code != RZ_OK) return code;
    if (!submit->instance)
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected an instance, found NULL");
    if (submit->steps > 1)
        return null_fail(err, RZ_UNSUPPORTED, "expected one step, found %u", submit->steps);
    const rz_program *program = submit->instance->program;
    code = check_lists(submit, err);
    if (code == RZ_OK) code = check_symbols(program, submit, err);
    if (code == RZ_OK) code = check_states(submit->instance, err);
    for (uint32_t i = 0; code == RZ_OK && i < submit->update_count; ++i)
        code =
            check_update(program, submit, null_at(submit->updates, submit->update_stride, i), err);
    if (code == RZ_OK && submit->read_count > 0)
        code = null_fail(err, RZ_INVALID_ARGUMENT, "expected no read of a region without outputs");
    return code;
}

static rz_code submit(rz_queue *queue, const rz_submit *work, rz_error *err) {
    if (!queue) return null_fail(err, RZ_INVALID_ARGUMENT, "expected a queue, found NULL");
    const rz_code code = check_submit(work, err);
    if (code != RZ_OK) return code;

    rz_error failure = {.struct_size = sizeof failure, .node = RZ_NONE};
    for (uint32_t i = 0; failure.code == RZ_OK && i < work->wait_count; ++i)
        failure.code = null_timeline_api.wait(work->waits[i].timeline, work->waits[i].value,
                                              UINT64_MAX, &failure);
    if (failure.code == RZ_OK) atomic_fetch_add(&queue->device->counters.submissions, 1);
    /* Kernels would run here; their first failure would go into `failure`. */
    for (uint32_t i = 0; i < work->signal_count; ++i) {
        if (failure.code == RZ_OK)
            null_timeline_advance(work->signals[i].timeline, work->signals[i].value);
        else
            null_timeline_break(work->signals[i].timeline, &failure);
    }
    return RZ_OK;
}

const rz_queue_api null_queue_api = {
    .struct_size = sizeof(rz_queue_api),
    .create = create,
    .submit = submit,
    .destroy = destroy,
};
