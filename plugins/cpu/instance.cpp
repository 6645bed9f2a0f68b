#include "plugins/cpu/instance.h"

#include "plugins/cpu/buffer.h"

#include <algorithm>
#include <cstring>

namespace realizar::cpu {

namespace {

rz_code create(rz_program *program, rz_instance **out, rz_error *err) {
    return guarded(err, [&] {
        if (!program || !out)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "instance.create: NULL argument");
        const uint64_t size = program->scratch_bytes();
        Memory memory = program->device.allocate(size);
        if (size && !memory.data())
            return fail(err, RZ_OUT_OF_MEMORY, RZ_NONE, "no memory for an instance of %llu bytes",
                        static_cast<unsigned long long>(size));
        const Region &region = program->region;
        std::vector<std::byte *> bases(region.tensors.size(), nullptr);
        for (uint32_t i = 0; i < bases.size(); ++i) {
            const Tensor &t = region.tensors[i];
            if (program->layout.offsets[i] >= 0)
                bases[i] = memory.data() + program->layout.offsets[i];
            // Views of a read-only source share the type of writable ones; no step writes a weight.
            if (program->weights[i]) bases[i] = const_cast<std::byte *>(program->weights[i]);
            if (t.role == RZ_ROLE_INPUT && bases[i])
                std::memset(bases[i], 0, static_cast<size_t>(t.extent(t.dims[0])));
        }
        *out = new rz_instance{*program, std::move(memory), std::move(bases)};
        return RZ_OK;
    });
}

rz_code check_binding(const rz_program &program, const rz_binding &b, rz_error *err) {
    rz_code code = check_struct(&b, sizeof(rz_binding), 0, "rz_binding", err);
    if (code != RZ_OK) return code;
    if (b.tensor >= program.tensor_count || program.region.tensors[b.tensor].is_view(b.tensor))
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                    "bind: expected a storage of the graph, found tensor %u", b.tensor);
    const Tensor &t = program.region.tensors[b.tensor];
    const auto &outputs = program.region.outputs;
    const bool output = std::find(outputs.begin(), outputs.end(), b.tensor) != outputs.end();
    if (t.role != RZ_ROLE_INPUT && t.role != RZ_ROLE_STATE && !output)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                    "bind: expected an input, a state or an output, found %s", t.name.c_str());
    const auto size = static_cast<uint64_t>(t.extent(t.dims[0]));
    if (!b.buffer || b.offset > b.buffer->size || size > b.buffer->size - b.offset)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                    "bind %s: expected %llu bytes from offset %llu, the buffer has %llu",
                    t.name.c_str(), static_cast<unsigned long long>(size),
                    static_cast<unsigned long long>(b.offset),
                    static_cast<unsigned long long>(b.buffer ? b.buffer->size : 0));
    if (b.offset % kAlignment != 0)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                    "bind %s: expected an offset in multiples of %llu, found %llu", t.name.c_str(),
                    static_cast<unsigned long long>(kAlignment),
                    static_cast<unsigned long long>(b.offset));
    return RZ_OK;
}

rz_code bind(rz_instance *instance, const rz_binding *bindings, uint32_t stride, uint32_t count,
             rz_error *err) {
    return guarded(err, [&] {
        if (!instance || (count && !bindings))
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "instance.bind: NULL argument");
        if (count && stride < sizeof(rz_binding))
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "instance.bind: stride %u is too short",
                        stride);
        for (uint32_t i = 0; i < count; ++i) {
            const rz_code code =
                check_binding(instance->program, element(bindings, stride, i), err);
            if (code != RZ_OK) return code;
        }
        for (uint32_t i = 0; i < count; ++i) {
            const rz_binding &b = element(bindings, stride, i);
            instance->bases[b.tensor] = b.buffer->memory.data() + b.offset;
        }
        return RZ_OK;
    });
}

void destroy(rz_instance *instance) { delete instance; }

} // namespace

const rz_instance_api kInstanceApi = {sizeof(rz_instance_api), 0, create, bind, destroy};

} // namespace realizar::cpu
