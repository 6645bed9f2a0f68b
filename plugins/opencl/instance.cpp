#include "plugins/opencl/instance.h"

#include "plugins/opencl/buffer.h"

#include <algorithm>
#include <cstring>

namespace {

// Steps of 1 to 8 tokens in a few buckets of keys, and some prompt sizes.
constexpr size_t kRecordings = 32;

} // namespace

using namespace realizar::opencl;

rz_instance::rz_instance(rz_program &owner) : program(owner) {
    Gpu &gpu = program.device.gpu;
    const auto &layout = program.layout;
    places_ = program.fixed;
    external_.resize(places_.size());
    if (layout.input_bytes) {
        inputs_ = gpu.allocate(layout.input_bytes);
        gpu.zero(inputs_);
        mirror_ = gpu.allocate_host(layout.input_bytes);
        std::memset(mirror_.host(), 0, mirror_.size());
    }
    if (layout.scratch_bytes) scratch_ = gpu.allocate(layout.scratch_bytes);
    if (program.room_bytes) room_ = gpu.allocate(program.room_bytes);
    for (uint32_t i = 0; i < places_.size(); ++i) {
        if (layout.inputs[i] >= 0)
            places_[i] = {inputs_.buffer(), static_cast<uint64_t>(layout.inputs[i])};
        if (layout.scratch[i] >= 0)
            places_[i] = {scratch_.buffer(), static_cast<uint64_t>(layout.scratch[i])};
    }
}

void rz_instance::bind(std::span<const rz_binding> bindings) {
    for (const rz_binding &b : bindings) {
        places_[b.tensor] = {b.buffer->memory.buffer(), b.offset};
        external_[b.tensor] = true;
    }
    recordings_.clear();
}

const Recording &rz_instance::recording(std::vector<int64_t> &symbols) {
    program.bucket(symbols);
    const auto found = std::find_if(recordings_.begin(), recordings_.end(),
                                    [&](const Recording &each) { return each.symbols == symbols; });
    if (found != recordings_.end()) {
        recordings_.splice(recordings_.begin(), recordings_, found);
        return recordings_.front();
    }
    if (recordings_.size() >= kRecordings) recordings_.pop_back();
    Recording fresh;
    fresh.symbols = symbols;
    Recorder recorder(program.device.gpu, places_, symbols, fresh.launches, room_.buffer());
    for (const Step &step : program.steps)
        step.record(recorder);
    recordings_.push_front(std::move(fresh));
    return recordings_.front();
}

bool rz_instance::owns_input(uint32_t storage) const {
    return inputs_ && places_[storage].buffer == inputs_.buffer();
}

void rz_instance::prepare(uint32_t steps) {
    if (steps <= steps_ || !inputs_) return;
    Gpu &gpu = program.device.gpu;
    const uint64_t bytes = steps * inputs_.size();
    Memory mirror = gpu.allocate_host(bytes), coming = gpu.allocate(bytes);
    std::memset(mirror.host(), 0, bytes);
    mirror_ = std::move(mirror);
    coming_ = std::move(coming);
    steps_ = steps;
}

void rz_instance::update(uint32_t storage, uint32_t step, uint64_t offset, const void *data,
                         uint64_t size) {
    const uint64_t at = step * inputs_.size() + places_[storage].offset + offset;
    std::memcpy(mirror_.host() + at, data, size);
    changed_begin_ = std::min(changed_begin_, at);
    changed_end_ = std::max(changed_end_, at + size);
}

void rz_instance::queue_updates(uint32_t steps) {
    if (changed_begin_ < changed_end_)
        program.device.gpu.queue_write(steps > 1 ? coming_.buffer() : inputs_.buffer(),
                                       changed_begin_, mirror_.host() + changed_begin_,
                                       changed_end_ - changed_begin_);
    changed_begin_ = UINT64_MAX;
    changed_end_ = 0;
}

void rz_instance::queue_inputs(uint32_t step) {
    if (inputs_)
        program.device.gpu.queue_copy(inputs_.buffer(), 0, coming_.buffer(), step * inputs_.size(),
                                      inputs_.size());
}

void rz_instance::queue_chain(uint32_t from, uint32_t to, uint32_t step, uint64_t size) {
    program.device.gpu.queue_copy(coming_.buffer(),
                                  (step + 1) * inputs_.size() + places_[to].offset,
                                  places_[from].buffer, places_[from].offset, size);
}

std::byte *rz_instance::readback(uint64_t bytes) {
    if (bytes > readback_.size()) {
        readback_ = Memory();
        readback_ = program.device.gpu.allocate_host(bytes);
    }
    return readback_.host();
}

namespace realizar::opencl {

namespace {

rz_code create(rz_program *program, rz_instance **out, rz_error *err) {
    return guarded(err, [&] {
        if (!program || !out)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "instance.create: NULL argument");
        *out = new rz_instance(*program);
        return RZ_OK;
    });
}

rz_code check_binding(const rz_program &program, const rz_binding &b, rz_error *err) {
    const rz_code code = check_struct(&b, sizeof(rz_binding), 0, "rz_binding", err);
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
                    t.name.c_str(), wide(size), wide(b.offset),
                    wide(b.buffer ? b.buffer->size : 0));
    if (b.offset % kPlaceAlignment != 0)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                    "bind %s: expected an offset in multiples of %llu, found %llu", t.name.c_str(),
                    wide(kPlaceAlignment), wide(b.offset));
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
        std::vector<rz_binding> checked;
        for (uint32_t i = 0; i < count; ++i) {
            const rz_binding &b = element(bindings, stride, i);
            const rz_code code = check_binding(instance->program, b, err);
            if (code != RZ_OK) return code;
            checked.push_back(b);
        }
        instance->bind(checked);
        return RZ_OK;
    });
}

void destroy(rz_instance *instance) { delete instance; }

} // namespace

const rz_instance_api kInstanceApi = {sizeof(rz_instance_api), 0, create, bind, destroy};

} // namespace realizar::opencl
