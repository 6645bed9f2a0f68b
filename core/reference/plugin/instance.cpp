#include "core/reference/plugin/objects.h"

#include "core/graph/layout.h"

#include <algorithm>
#include <cinttypes>

namespace realizar::reference {
namespace {

rz_code create(rz_program *program, rz_instance **out, rz_error *err) {
    return guarded(err, [&]() -> rz_code {
        RZ_CHECK(check_handle(program, "program", err));
        RZ_CHECK(check_handle(out, "place for the instance", err));
        auto instance = std::make_unique<Instance>();
        instance->program = &object(program);
        instance->slots.resize(object(program).graph.tensors().size());
        *out = handle(instance.release());
        return RZ_OK;
    });
}

rz_code check_binding(const Program &program, const rz_binding &binding, rz_error *err) {
    const std::span<const rz_tensor> tensors = program.graph.tensors();
    if (binding.tensor >= tensors.size())
        return fail(err, RZ_INVALID_ARGUMENT, "binding: expected a tensor below %zu, found %u",
                    tensors.size(), binding.tensor);
    const rz_tensor &tensor = tensors[binding.tensor];
    const bool output =
        std::ranges::find(program.graph.outputs(), binding.tensor) != program.graph.outputs().end();
    if (tensor.storage != binding.tensor ||
        !(output || tensor.role == RZ_ROLE_INPUT || tensor.role == RZ_ROLE_STATE))
        return fail(err, RZ_INVALID_ARGUMENT,
                    "binding of tensor %u: expected an input, state or output that is no view",
                    binding.tensor);
    if (binding.buffer == nullptr || object(binding.buffer).device != program.device)
        return fail(err, RZ_INVALID_ARGUMENT,
                    "binding of tensor %u: expected a buffer of the same device, found %s",
                    binding.tensor, binding.buffer == nullptr ? "NULL" : "another device's");
    const uint64_t size = tensor_max_bytes(program.graph.view(), tensor);
    const uint64_t room = object(binding.buffer).memory.size();
    if (binding.offset % kAlignment != 0 || binding.offset > room || size > room - binding.offset)
        return fail(err, RZ_INVALID_ARGUMENT,
                    "binding of tensor %u: expected %" PRIu64 " bytes from a multiple of %" PRIu64
                    " on, found offset %" PRIu64 " in a buffer of %" PRIu64,
                    binding.tensor, size, kAlignment, binding.offset, room);
    return RZ_OK;
}

// All or nothing: the bindings are checked before the first takes effect.
rz_code bind(rz_instance *instance, const rz_binding *bindings, uint32_t stride, uint32_t count,
             rz_error *err) {
    RZ_CHECK(check_handle(instance, "instance", err));
    RZ_CHECK(check_array(bindings, count, stride, "binding", err));
    Instance &to = object(instance);
    for (uint32_t i = 0; i < count; ++i)
        RZ_CHECK(check_binding(*to.program, element(bindings, stride, i), err));
    for (uint32_t i = 0; i < count; ++i) {
        const rz_binding &binding = element(bindings, stride, i);
        to.slots[binding.tensor].bound = object(binding.buffer).memory.data() + binding.offset;
    }
    return RZ_OK;
}

void destroy(rz_instance *instance) { destroy_object(instance); }

} // namespace

const rz_instance_api kInstanceApi = {sizeof(rz_instance_api), 0, create, bind, destroy};

} // namespace realizar::reference
