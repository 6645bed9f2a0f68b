#include "tools/ctk/device_region.h"

#include <algorithm>
#include <cstring>

namespace realizar::ctk {
namespace {

constexpr uint64_t kFence = 256;
constexpr std::byte kFenceByte{0xA5};
// Every float made of these is a NaN, every integer is -1.
constexpr std::byte kUnwritten{0xFF};

bool all_are(std::span<const std::byte> bytes, std::byte value) {
    return std::all_of(bytes.begin(), bytes.end(), [&](std::byte b) { return b == value; });
}

std::string tensor_name(const Graph &graph, TensorId id) {
    const char *name = graph.tensors()[id].name;
    return name != nullptr && name[0] != 0 ? printable(name) : "tensor " + std::to_string(id);
}

} // namespace

DeviceOptions random_options(Random &random) {
    DeviceOptions options;
    options.bind_outputs = random.chance(0.5);
    options.bind_inputs = random.chance(0.3);
    options.stable_weights = random.chance(0.5);
    options.split_transfers = random.chance(0.3);
    return options;
}

rz_code try_compile(Session &session, const rz_graph &graph, rz_weights *weights, uint32_t flags,
                    Owned<rz_program> &out, AbiError &error) {
    rz_compile_options options{};
    options.struct_size = sizeof options;
    options.flags = flags;
    rz_program *program = nullptr;
    const rz_code code = session.api().program->compile(session.device(), &graph, weights, &options,
                                                        &program, &error);
    out = {program, session.api().program->destroy};
    return code;
}

Result<Owned<rz_weights>> load_weights(Session &session, const Graph &graph, const Leaves &leaves,
                                       bool stable) {
    Owned<rz_weights> none(nullptr, session.api().weights->destroy);
    const auto is_weight = [&](TensorId id) { return owns(graph, id, RZ_ROLE_WEIGHT); };
    bool any = false;
    for (TensorId id = 0; id < leaves.size(); ++id)
        any = any || is_weight(id);
    if (!any) return none;
    const rz_weights_api &api = *session.api().weights;
    const rz_graph view = graph.view();
    AbiError error;
    rz_weights_plan plan{};
    plan.struct_size = sizeof plan;
    RZ_TRY(expect_ok(api.plan(session.device(), &view, &plan, &error), error, "weights.plan"));
    rz_weights *handle = nullptr;
    RZ_TRY(expect_ok(api.create(session.device(), &view, 0, &handle, &error), error,
                     "weights.create"));
    Owned<rz_weights> weights(handle, api.destroy);
    for (TensorId id = 0; id < leaves.size(); ++id) {
        if (!is_weight(id)) continue;
        const rz_tensor &tensor = graph.tensors()[id];
        const uint64_t rows = rows_of(tensor), bytes = leaves[id].size() / rows;
        const uint64_t piece = std::max<uint64_t>(1, rows / 3);
        for (uint64_t row = 0; row < rows; row += piece) {
            const uint64_t count = std::min(piece, rows - row);
            RZ_TRY(
                expect_ok(api.load(handle, tensor.key, row, count, leaves[id].data() + row * bytes,
                                   count * bytes, stable ? RZ_LOAD_STABLE : 0, &error),
                          error, "weights.load"));
        }
    }
    RZ_TRY(expect_ok(api.finish(handle, &error), error, "weights.finish"));
    return weights;
}

// The arrays of one submission. Reads land between fences.
struct DeviceRegion::Transfers {
    std::vector<rz_update> updates;
    std::vector<rz_read> reads;
    std::map<TensorId, Bytes> received;

    void send(TensorId id, const Bytes &bytes, bool split) {
        const uint64_t half = split && bytes.size() > 1 ? bytes.size() / 3 : 0;
        if (half > 0) add_update(id, 0, half, bytes.data());
        add_update(id, half, bytes.size() - half, bytes.data() + half);
    }
    void receive(TensorId id, uint64_t size, bool split) {
        Bytes &memory = received[id];
        memory.assign(kFence, kFenceByte);
        memory.insert(memory.end(), size, kUnwritten);
        memory.insert(memory.end(), kFence, kFenceByte);
        const uint64_t half = split && size > 1 ? size / 3 : 0;
        if (half > 0) add_read(id, 0, half, memory.data() + kFence);
        add_read(id, half, size - half, memory.data() + kFence + half);
    }

  private:
    void add_update(TensorId id, uint64_t offset, uint64_t size, const void *data) {
        rz_update update{};
        update.struct_size = sizeof update;
        update.tensor = id;
        update.offset = offset;
        update.size = size;
        update.data = data;
        updates.push_back(update);
    }
    void add_read(TensorId id, uint64_t offset, uint64_t size, void *data) {
        rz_read read{};
        read.struct_size = sizeof read;
        read.tensor = id;
        read.offset = offset;
        read.size = size;
        read.data = data;
        reads.push_back(read);
    }
};

Result<std::unique_ptr<DeviceRegion>> DeviceRegion::create(Session &session, const Graph &graph,
                                                           const Leaves &leaves,
                                                           const DeviceOptions &options) {
    auto region = std::unique_ptr<DeviceRegion>(new DeviceRegion(session, graph, options));
    RZ_TRY(region->make_memory(leaves));
    RZ_ASSIGN(region->weights_, load_weights(session, graph, leaves, options.stable_weights));
    RZ_TRY(region->compile());
    RZ_TRY(region->make_instance());
    return region;
}

Result<std::unique_ptr<DeviceRegion>> DeviceRegion::sibling(const DeviceRegion &first,
                                                            const Leaves &leaves) {
    auto region = std::unique_ptr<DeviceRegion>(
        new DeviceRegion(first.session_, first.graph_, first.options_));
    region->program_ = first.program_;
    RZ_TRY(region->make_memory(leaves));
    RZ_TRY(region->make_instance());
    return region;
}

Status DeviceRegion::make_memory(const Leaves &leaves) {
    RZ_ASSIGN(timeline_, session_.timeline());
    RZ_ASSIGN(queue_, session_.queue());
    for (TensorId id = 0; id < leaves.size(); ++id) {
        const bool state = owns(graph_, id, RZ_ROLE_STATE);
        if (!state && !(options_.bind_inputs && owns(graph_, id, RZ_ROLE_INPUT))) continue;
        RZ_ASSIGN(Fenced fenced, make_fenced(id, state ? leaves[id] : Bytes()));
        fenced_.push_back(std::move(fenced));
    }
    for (const TensorId id : graph_.outputs()) {
        if (!options_.bind_outputs) break;
        RZ_ASSIGN(Fenced fenced, make_fenced(id, {}));
        fenced_.push_back(std::move(fenced));
    }
    return {};
}

Status DeviceRegion::compile() {
    AbiError error;
    const rz_graph view = graph_.view();
    const uint32_t flags = options_.fuse ? 0 : RZ_COMPILE_NO_FUSE;
    RZ_TRY(expect_ok(try_compile(session_, view, weights_.get(), flags, own_program_, error), error,
                     "program.compile"));
    program_ = own_program_.get();
    rz_program_info info{};
    info.struct_size = sizeof info;
    RZ_TRY(expect_ok(session_.api().program->info(program_, &info, &error), error, "program.info"));
    CTK_CHECK(info.fused_nodes <= graph_.nodes().size(),
              "program.info: %u fused nodes of %zu in the graph", info.fused_nodes,
              graph_.nodes().size());
    return {};
}

Status DeviceRegion::make_instance() {
    AbiError error;
    rz_instance *instance = nullptr;
    RZ_TRY(expect_ok(session_.api().instance->create(program_, &instance, &error), error,
                     "instance.create"));
    instance_ = {instance, session_.api().instance->destroy};
    return bind_all();
}

Result<DeviceRegion::Fenced> DeviceRegion::make_fenced(TensorId id, const Bytes &contents) {
    Fenced fenced;
    fenced.tensor = id;
    const rz_tensor &tensor = graph_.tensors()[id];
    fenced.size = bytes_of(tensor.dtype, largest_dims(graph_, tensor));
    const uint64_t align = session_.info().alignment;
    fenced.offset = (kFence + align - 1) / align * align;
    const uint64_t total = fenced.offset + fenced.size + kFence;
    RZ_ASSIGN(fenced.buffer, session_.buffer(total));
    Bytes bytes(total, kFenceByte);
    const auto body = bytes.begin() + static_cast<int64_t>(fenced.offset);
    std::fill_n(body, fenced.size, kUnwritten);
    std::copy(contents.begin(), contents.end(), body);
    AbiError error;
    RZ_TRY(
        expect_ok(session_.api().buffer->write(fenced.buffer.get(), 0, bytes.data(), total, &error),
                  error, "buffer.write"));
    return fenced;
}

Status DeviceRegion::exchange_states(const Leaves &leaves) {
    other_states_.clear();
    for (TensorId id = 0; id < leaves.size(); ++id) {
        if (!owns(graph_, id, RZ_ROLE_STATE)) continue;
        RZ_ASSIGN(Fenced fenced, make_fenced(id, leaves[id]));
        other_states_.push_back(std::move(fenced));
    }
    return exchange_states();
}

Status DeviceRegion::exchange_states() {
    for (Fenced &other : other_states_)
        std::swap(*find(other.tensor), other);
    return bind_all();
}

Status DeviceRegion::bind_all() {
    std::vector<rz_binding> bindings;
    for (const Fenced &fenced : fenced_) {
        rz_binding binding{};
        binding.struct_size = sizeof binding;
        binding.tensor = fenced.tensor;
        binding.buffer = fenced.buffer.get();
        binding.offset = fenced.offset;
        bindings.push_back(binding);
    }
    if (bindings.empty()) return {};
    AbiError error;
    return expect_ok(session_.api().instance->bind(instance_.get(), bindings.data(),
                                                   sizeof(rz_binding),
                                                   static_cast<uint32_t>(bindings.size()), &error),
                     error, "instance.bind");
}

DeviceRegion::Fenced *DeviceRegion::find(TensorId id) {
    for (Fenced &fenced : fenced_)
        if (fenced.tensor == id) return &fenced;
    return nullptr;
}

Status DeviceRegion::check_fences() {
    AbiError error;
    for (const Fenced &fenced : fenced_) {
        const std::string name = tensor_name(graph_, fenced.tensor);
        for (const uint64_t offset : {uint64_t{0}, fenced.offset + fenced.size}) {
            Bytes fence(offset == 0 ? fenced.offset : kFence);
            RZ_TRY(expect_ok(session_.api().buffer->read(fenced.buffer.get(), offset, fence.data(),
                                                         fence.size(), &error),
                             error, "buffer.read"));
            CTK_CHECK(all_are(fence, kFenceByte), "'%s': the plugin wrote %s its range",
                      name.c_str(), offset == 0 ? "before" : "behind");
        }
    }
    return {};
}

Status DeviceRegion::submit(std::span<const int64_t> symbols, Transfers &transfers) {
    const rz_point signal{timeline_.get(), ++submissions_};
    rz_submit submit{};
    submit.struct_size = sizeof submit;
    submit.instance = instance_.get();
    submit.symbols = symbols.data();
    submit.symbol_count = static_cast<uint32_t>(symbols.size());
    submit.updates = transfers.updates.data();
    submit.update_count = static_cast<uint32_t>(transfers.updates.size());
    submit.update_stride = sizeof(rz_update);
    submit.reads = transfers.reads.data();
    submit.read_count = static_cast<uint32_t>(transfers.reads.size());
    submit.read_stride = sizeof(rz_read);
    submit.signals = &signal;
    submit.signal_count = 1;
    AbiError error;
    RZ_TRY(expect_ok(session_.api().queue->submit(queue_.get(), &submit, &error), error,
                     "queue.submit"));
    return expect_ok(session_.api().timeline->wait(timeline_.get(), submissions_, kWaitNs, &error),
                     error, "timeline.wait for the submission");
}

Status DeviceRegion::run(std::span<const int64_t> symbols, const Leaves &leaves, Leaves &outputs) {
    Transfers transfers;
    AbiError error;
    const auto fill = [&](const Fenced &fenced, const Bytes &head) {
        Bytes bytes(fenced.size, kUnwritten);
        std::copy(head.begin(), head.end(), bytes.begin());
        return expect_ok(session_.api().buffer->write(fenced.buffer.get(), fenced.offset,
                                                      bytes.data(), bytes.size(), &error),
                         error, "buffer.write");
    };
    for (TensorId id = 0; id < leaves.size(); ++id) {
        if (!owns(graph_, id, RZ_ROLE_INPUT)) continue;
        if (const Fenced *fenced = find(id))
            RZ_TRY(fill(*fenced, leaves[id]));
        else
            transfers.send(id, leaves[id], options_.split_transfers);
    }
    for (const TensorId id : graph_.outputs()) {
        const rz_tensor &tensor = graph_.tensors()[id];
        if (const Fenced *fenced = find(id))
            RZ_TRY(fill(*fenced, {}));
        else
            transfers.receive(id, bytes_of(tensor.dtype, resolved_dims(tensor, symbols)),
                              options_.split_transfers);
    }
    RZ_TRY(submit(symbols, transfers));
    RZ_TRY(check_fences());
    outputs.assign(graph_.tensors().size(), {});
    for (auto &[id, memory] : transfers.received) {
        const std::span<const std::byte> all(memory);
        CTK_CHECK(all_are(all.first(kFence), kFenceByte) && all_are(all.last(kFence), kFenceByte),
                  "'%s': a read wrote outside of its range", tensor_name(graph_, id).c_str());
        outputs[id].assign(memory.begin() + kFence, memory.end() - kFence);
    }
    return collect_bound(symbols, outputs);
}

// Bound outputs: the rows of this submission, and nothing behind them.
Status DeviceRegion::collect_bound(std::span<const int64_t> symbols, Leaves &outputs) {
    AbiError error;
    for (const TensorId id : graph_.outputs()) {
        const Fenced *fenced = find(id);
        if (fenced == nullptr) continue;
        const rz_tensor &tensor = graph_.tensors()[id];
        Bytes bytes(fenced->size);
        RZ_TRY(expect_ok(session_.api().buffer->read(fenced->buffer.get(), fenced->offset,
                                                     bytes.data(), bytes.size(), &error),
                         error, "buffer.read"));
        const uint64_t used = bytes_of(tensor.dtype, resolved_dims(tensor, symbols));
        CTK_CHECK(all_are(std::span<const std::byte>(bytes).subspan(used), kUnwritten),
                  "'%s': the plugin wrote behind the rows of this submission",
                  tensor_name(graph_, id).c_str());
        bytes.resize(used);
        outputs[id] = std::move(bytes);
    }
    return {};
}

Result<Bytes> DeviceRegion::read_state(TensorId id) {
    const Fenced *fenced = find(id);
    CTK_CHECK(fenced != nullptr, "tensor %u is no state", id);
    Bytes bytes(fenced->size);
    AbiError error;
    RZ_TRY(expect_ok(session_.api().buffer->read(fenced->buffer.get(), fenced->offset, bytes.data(),
                                                 bytes.size(), &error),
                     error, "buffer.read"));
    return bytes;
}

} // namespace realizar::ctk
