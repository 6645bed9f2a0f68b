/* A program with its bindings. */
#include "null.h"

#include <stdlib.h>

static rz_code create(rz_program *program, rz_instance **out, rz_error *err) {
    if (!program || !out)
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected a program and a place, found NULL");
    *out = NULL;
    rz_instance *instance = calloc(1, sizeof *instance);
    unsigned char *bound = calloc((size_t)program->tensor_count + 1, 1);
    if (!instance || !bound) {
        free(instance);
        free(bound);
        return null_fail(err, RZ_OUT_OF_MEMORY, "no memory for an instance");
    }
    instance->program = program;
    instance->bound = bound;
    *out = instance;
    return RZ_OK;
}

static void destroy(rz_instance *instance) {
    if (!instance) return;
    free(instance->bound);
    free(instance);
}

/* The most bytes that a tensor can have over all submissions. */
static uint64_t largest(const rz_program *program, const rz_tensor *tensor) {
    const int64_t dim = tensor->dims[0];
    return null_tensor_bytes(tensor, dim < 0 ? program->symbols[RZ_SYMBOL_INDEX(dim)].max : dim);
}

static rz_code check_binding(const rz_program *program, const rz_binding *binding, rz_error *err) {
    const rz_code code = null_check_struct(binding, sizeof *binding, 0, "rz_binding", err);
    if (code != RZ_OK) return code;
    if (binding->tensor >= program->tensor_count || !binding->buffer)
        return null_fail(err, RZ_INVALID_ARGUMENT,
                         "expected a buffer and a tensor below %u, found %s and %u",
                         program->tensor_count, binding->buffer ? "one" : "NULL", binding->tensor);
    const rz_tensor *tensor = &program->tensors[binding->tensor];
    if (tensor->storage != binding->tensor ||
        (tensor->role != RZ_ROLE_INPUT && tensor->role != RZ_ROLE_STATE))
        return null_fail(err, RZ_INVALID_ARGUMENT,
                         "tensor %u: expected an input or a state that is no view",
                         binding->tensor);
    const uint64_t size = largest(program, tensor);
    const uint64_t room = binding->buffer->size;
    if (binding->offset % NULL_ALIGNMENT != 0 || binding->offset > room ||
        size > room - binding->offset)
        return null_fail(err, RZ_INVALID_ARGUMENT,
                         "tensor %u: expected %llu bytes at a multiple of %u inside a buffer of "
                         "%llu, found offset %llu",
                         binding->tensor, (unsigned long long)size, NULL_ALIGNMENT,
                         (unsigned long long)room, (unsigned long long)binding->offset);
    return RZ_OK;
}

static rz_code bind(rz_instance *instance, const rz_binding *bindings, uint32_t stride,
                    uint32_t count, rz_error *err) {
    if (!instance || (!bindings && count > 0))
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected an instance and bindings, found NULL");
    if (count > 0 && stride < sizeof *bindings)
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected a stride of at least %zu, found %u",
                         sizeof *bindings, stride);
    for (uint32_t i = 0; i < count; ++i) {
        const rz_code code = check_binding(instance->program, null_at(bindings, stride, i), err);
        if (code != RZ_OK) return code;
    }
    for (uint32_t i = 0; i < count; ++i) {
        const rz_binding *binding = null_at(bindings, stride, i);
        instance->bound[binding->tensor] = 1;
    }
    return RZ_OK;
}

const rz_instance_api null_instance_api = {
    .struct_size = sizeof(rz_instance_api),
    .create = create,
    .bind = bind,
    .destroy = destroy,
};
