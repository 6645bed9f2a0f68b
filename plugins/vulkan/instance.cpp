#include "plugins/vulkan/instance.h"

#include "plugins/vulkan/buffer.h"

#include <algorithm>
#include <cstring>

namespace {

// Steps of 1 to 8 tokens in a few buckets of keys, and some prompt sizes.
constexpr size_t kRecordings = 32;

} // namespace

using namespace realizar::vulkan;

rz_instance::rz_instance(rz_program &owner) : program(owner) {
    Gpu &gpu = program.device.gpu;
    const Layout &layout = program.layout;
    inputs_ = gpu.memory().allocate(Heap::upload, input_block());
    scratch_ = gpu.memory().allocate(Heap::device, layout.scratch_bytes);
    std::memset(inputs_.host(), 0, inputs_.size());
    if (gpu.chains()) {
        counter_ = gpu.memory().allocate(Heap::device, sizeof(uint32_t));
        counter_read_ = gpu.memory().allocate(Heap::readback, sizeof(uint32_t));
    }
    bound_.resize(program.region.tensors.size());
    bound_offsets_.resize(program.region.tensors.size());
    place_own();
}

void rz_instance::place_own() {
    const Layout &layout = program.layout;
    places_ = program.weights;
    const auto at = [](const Memory &memory, uint64_t offset) {
        return Place{memory.address() + offset, memory.buffer(), memory.offset() + offset,
                     memory.host() ? memory.host() + offset : nullptr};
    };
    for (uint32_t i = 0; i < places_.size(); ++i) {
        if (layout.inputs[i] >= 0)
            places_[i] = at(inputs_, static_cast<uint64_t>(layout.inputs[i]));
        if (layout.scratch[i] >= 0)
            places_[i] = at(scratch_, static_cast<uint64_t>(layout.scratch[i]));
    }
    for (const auto &[storage, offset] : program.constant_offsets)
        places_[storage] = at(program.constants, offset);
    for (const auto &[storage, offset] : program.table_offsets)
        places_[storage] = at(inputs_, layout.input_bytes + offset);
}

uint64_t rz_instance::input_block() const {
    return align_up(program.layout.input_bytes + program.table_bytes, kPlaceAlignment);
}

bool rz_instance::is_chained(uint32_t output) const {
    return std::any_of(chains_.begin(), chains_.end(),
                       [&](const Chain &chain) { return chain.from == output; });
}

void rz_instance::prepare(uint32_t steps, std::span<const Chain> chains) {
    const bool same = std::equal(chains.begin(), chains.end(), chains_.begin(), chains_.end());
    if (steps == 1 || (steps <= steps_ && same)) return;
    Gpu &gpu = program.device.gpu;
    const uint32_t most = std::max(steps, steps_);
    uint64_t slot_bytes = 0;
    for (const Chain &chain : chains) {
        const Tensor &t = program.region.tensors[chain.from];
        slot_bytes += align_up(static_cast<uint64_t>(t.extent(t.dims[0])), kCopyAlignment);
    }
    Memory inputs = gpu.memory().allocate(Heap::upload, most * input_block());
    Memory slots = gpu.memory().allocate(Heap::device, std::max(most * slot_bytes, kCopyAlignment));
    std::memset(inputs.host(), 0, inputs.size());
    std::memcpy(inputs.host(), inputs_.host(), program.layout.input_bytes);
    inputs_ = std::move(inputs);
    slots_ = std::move(slots);
    slot_bytes_ = slot_bytes;
    steps_ = most;
    chains_.assign(chains.begin(), chains.end());
    std::vector<Place> before = std::move(places_);
    place_own();
    for (uint32_t i = 0; i < before.size(); ++i)
        if (bound_[i]) places_[i] = before[i];
    recordings_.clear();
    tables_filled_ = false;
}

std::vector<Place> rz_instance::places_of(uint32_t step) const {
    std::vector<Place> places = places_;
    const uint64_t shift = step * input_block();
    const auto move = [&](Place &place) {
        place.address += shift;
        place.offset += shift;
        place.host += shift;
    };
    for (uint32_t i = 0; i < places.size(); ++i)
        if (program.layout.inputs[i] >= 0 && !bound_[i]) move(places[i]);
    for (const auto &[storage, offset] : program.table_offsets)
        move(places[storage]);
    uint64_t at = step * slot_bytes_;
    for (const Chain &chain : chains_) {
        const auto slot = [&](uint64_t offset) {
            return Place{slots_.address() + offset, slots_.buffer(), slots_.offset() + offset,
                         slots_.host() ? slots_.host() + offset : nullptr};
        };
        places[chain.from] = slot(at);
        if (step > 0) places[chain.to] = slot(at - slot_bytes_);
        const Tensor &t = program.region.tensors[chain.from];
        at += align_up(static_cast<uint64_t>(t.extent(t.dims[0])), kCopyAlignment);
    }
    return places;
}

void rz_instance::bind(std::span<const rz_binding> bindings) {
    for (const rz_binding &b : bindings) {
        const Memory &memory = b.buffer->memory;
        places_[b.tensor] = {memory.address() + b.offset, memory.buffer(),
                             memory.offset() + b.offset,
                             memory.host() ? memory.host() + b.offset : nullptr};
        bound_[b.tensor] = &memory;
        bound_offsets_[b.tensor] = b.offset;
    }
    recordings_.clear();
    tables_filled_ = false;
}

const std::byte *rz_instance::in_place(uint32_t tensor) const {
    // Another instance may write a bound buffer before the host has looked at it.
    return bound_[tensor] || is_chained(tensor) ? nullptr : places_[tensor].host;
}

void rz_instance::update(uint32_t tensor, uint32_t step, uint64_t offset, const void *data,
                         uint64_t size) {
    if (bound_[tensor])
        program.device.gpu.write(*bound_[tensor], bound_offsets_[tensor] + offset, data, size);
    else
        std::memcpy(places_[tensor].host + step * input_block() + offset, data, size);
}

const Recording &rz_instance::recording(std::vector<int64_t> symbols, uint32_t steps,
                                        std::span<const Copy> copies) {
    program.bucket(symbols);
    const auto found =
        std::find_if(recordings_.begin(), recordings_.end(), [&](const Recording &each) {
            return each.symbols == symbols && each.steps == steps &&
                   (each.linked == 0 || program.device.gpu.chains()) &&
                   std::equal(each.copies.begin(), each.copies.end(), copies.begin(), copies.end());
        });
    if (found != recordings_.end()) {
        recordings_.splice(recordings_.begin(), recordings_, found);
        return recordings_.front();
    }
    // The oldest one's command buffer serves again.
    Recording fresh;
    if (recordings_.size() >= kRecordings) {
        fresh = std::move(recordings_.back());
        recordings_.pop_back();
    } else {
        fresh.commands = std::make_unique<Commands>(program.device.gpu);
    }
    fresh.symbols = std::move(symbols);
    fresh.steps = steps;
    fresh.times.reset(); // of as many steps as it had
    fresh.copies.assign(copies.begin(), copies.end());
    record(fresh);
    recordings_.push_front(std::move(fresh));
    return recordings_.front();
}

bool rz_instance::gave_up() const {
    const uint32_t linked = recordings_.front().linked;
    uint32_t counted = 0;
    if (linked) std::memcpy(&counted, counter_read_.host(), sizeof(counted));
    return counted != linked;
}

void rz_instance::record(Recording &recording) {
    Gpu &gpu = program.device.gpu;
    for (uint32_t s = 0; s < steps_ && !tables_filled_; ++s) {
        const std::vector<Place> places = places_of(s);
        for (const auto &step : program.steps)
            step->fill_table(places);
    }
    tables_filled_ = true;
    uint64_t bytes = 0;
    for (const Copy &copy : recording.copies)
        bytes += align_up(copy.size, kCopyAlignment);
    if (bytes > readback_.size()) {
        recordings_.clear(); // they copy to the old place
        readback_ = Memory();
        readback_ = gpu.memory().allocate(Heap::readback, bytes);
    }
    const VkCommandBuffer commands = recording.commands->handle();
    recording.commands->begin();
    const bool chained = counter_ && gpu.chains() && !gpu.settings().profile;
    if (chained)
        gpu.vk().vkCmdFillBuffer(commands, counter_.buffer(), counter_.offset(), sizeof(uint32_t),
                                 gpu.chain_start());
    gpu.full_barrier(commands);
    if (gpu.settings().profile && !recording.times)
        recording.times = std::make_unique<Timestamps>(
            gpu, recording.steps * 2 * static_cast<uint32_t>(program.steps.size()) + 1);
    Timestamps *const times = recording.times.get();
    if (times) times->start(commands);
    Recorder recorder(gpu, commands, places_, recording.symbols, times,
                      chained ? counter_.address() : 0);
    recording.barriers = 2;
    for (uint32_t s = 0; s < recording.steps; ++s) {
        const std::vector<Place> places = places_of(s);
        recorder.use(places);
        for (const auto &step : program.steps)
            recorder.record(*step);
        recording.barriers += record_copies(commands, recording, s);
    }
    gpu.full_barrier(commands);
    recording.linked = recorder.linked();
    recording.dispatches = recorder.dispatches();
    recording.barriers += recorder.barriers() + record_copies(commands, recording, recording.steps);
    if (recording.linked) {
        const VkBufferCopy region = {counter_.offset(), counter_read_.offset(), sizeof(uint32_t)};
        gpu.vk().vkCmdCopyBuffer(commands, counter_.buffer(), counter_read_.buffer(), 1, &region);
        gpu.full_barrier(commands);
        ++recording.barriers;
    }
    if (times) times->mark(commands, "(results to the host)", bytes);
    recording.commands->end();
}

// Copies that are due behind step `step`, or behind the last one where `step` is their number; there a
// barrier stands before them. Returns the barriers that it writes.
uint32_t rz_instance::record_copies(VkCommandBuffer commands, const Recording &recording,
                                    uint32_t step) const {
    Gpu &gpu = program.device.gpu;
    const bool end = step == recording.steps;
    uint64_t at = 0;
    uint32_t barriers = 0;
    for (const Copy &copy : recording.copies) {
        // What the next step writes over cannot wait.
        const bool waits = copy.step + 1 == recording.steps || is_chained(copy.tensor);
        if (waits ? end : copy.step == step) {
            if (!end && barriers++ == 0) gpu.full_barrier(commands);
            const Place from = places_of(copy.step)[copy.tensor];
            const VkBufferCopy region = {from.offset + copy.offset, readback_.offset() + at,
                                         copy.size};
            gpu.vk().vkCmdCopyBuffer(commands, from.buffer, readback_.buffer(), 1, &region);
        }
        at += align_up(copy.size, kCopyAlignment);
    }
    if (barriers == 0 && (!end || recording.copies.empty())) return 0;
    gpu.full_barrier(commands);
    return end ? 1 : 2;
}

namespace realizar::vulkan {

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

} // namespace realizar::vulkan
