// The CPU backend opened through its entry function, and graphs run on it.
#pragma once

#include "core/graph/layout.h"
#include "core/reference/reference.h"
#include "random.h"
#include "realizar/backend.h"

#include <atomic>
#include <cstdlib>
#include <map>
#include <thread>

namespace realizar::cpu::test {

struct Error : rz_error {
    Error() : rz_error{} { struct_size = sizeof(rz_error); }
};

#define EXPECT_CODE(expected, err, call)                                                           \
    EXPECT_EQ(expected, (call)) << "message: " << (err).message;                                   \
    EXPECT_TRUE((expected) == RZ_OK || (err).message[0] != 0)

// Sets REALIZAR_CPU_ISA for as long as it lives; null clears it.
class ForcedIsa {
  public:
    explicit ForcedIsa(const char *isa) {
        if (isa)
            setenv("REALIZAR_CPU_ISA", isa, 1);
        else
            unsetenv("REALIZAR_CPU_ISA");
    }
    ~ForcedIsa() { unsetenv("REALIZAR_CPU_ISA"); }
    ForcedIsa(const ForcedIsa &) = delete;
    ForcedIsa &operator=(const ForcedIsa &) = delete;
};

inline const rz_plugin &cpu_plugin() {
    const rz_hello hello = {sizeof(rz_hello),        0, RZ_ABI_MAJOR, RZ_ABI_MINOR, RZ_ABI_HASH,
                            REALIZAR_SANITIZER_KIND, 0};
    const rz_plugin *plugin = nullptr;
    Error err;
    EXPECT_CODE(RZ_OK, err, rz_plugin_entry_v1(&hello, &plugin, &err));
    return *plugin;
}

// A driver, device and queue with a number of threads; the host counts memory blocks.
class Backend {
  public:
    explicit Backend(uint32_t threads, const char *isa = nullptr) : threads_(threads) {
        const ForcedIsa forced(isa);
        host_.struct_size = sizeof host_;
        host_.self = this;
        host_.alloc = [](void *self, uint64_t size, uint64_t align) -> void * {
            auto &backend = *static_cast<Backend *>(self);
            if (backend.out_of_memory) return nullptr;
            ++backend.blocks;
            return std::aligned_alloc(align, (size + align - 1) / align * align);
        };
        host_.free = [](void *self, void *memory) {
            --static_cast<Backend *>(self)->blocks;
            std::free(memory);
        };
        host_.thread_budget = [](void *self) { return static_cast<Backend *>(self)->threads_; };
        host_.cancelled = [](void *self) -> uint32_t {
            return static_cast<Backend *>(self)->cancelled ? 1 : 0;
        };
        EXPECT_CODE(RZ_OK, err, api.driver->create(&host_, &driver, &err));
        EXPECT_CODE(RZ_OK, err, api.driver->open(driver, 0, &device, &err));
        EXPECT_CODE(RZ_OK, err, api.queue->create(device, &queue, &err));
    }
    ~Backend() {
        api.queue->destroy(queue);
        api.device->close(device);
        api.driver->destroy(driver);
        EXPECT_EQ(blocks, 0) << "memory of the host was not given back";
    }
    Backend(const Backend &) = delete;
    Backend &operator=(const Backend &) = delete;

    rz_counters counters() {
        rz_counters c{};
        c.struct_size = sizeof c;
        EXPECT_CODE(RZ_OK, err, api.device->counters(device, &c, &err));
        return c;
    }
    const rz_host &host() const { return host_; }

    const rz_plugin &api = cpu_plugin();
    Error err;
    rz_driver *driver = nullptr;
    rz_device *device = nullptr;
    rz_queue *queue = nullptr;
    std::atomic<int> blocks{0};
    std::atomic<bool> out_of_memory{false}, cancelled{false};

  private:
    uint32_t threads_;
    rz_host host_{};
};

// A graph with values for its leaves, compiled, bound and ready to submit. Values of weights of any
// type are the decoded numbers that `leaves` hold.
class Loaded {
  public:
    Loaded(Backend &backend, const Graph &graph, std::vector<int64_t> symbols,
           const std::vector<RefValue> &leaves, uint32_t compile_flags = 0)
        : backend_(backend), graph_(graph), symbols_(std::move(symbols)) {
        const rz_graph view = graph.view();
        const rz_plugin &api = backend.api;
        Error &err = backend.err;
        EXPECT_CODE(RZ_OK, err, api.weights->create(backend.device, &view, 0, &weights_, &err));
        for (uint32_t i = 0; i < view.tensor_count; ++i)
            if (is_leaf(i, RZ_ROLE_WEIGHT)) load(i, leaves[i]);
        EXPECT_CODE(RZ_OK, err, api.weights->finish(weights_, &err));
        const rz_compile_options options{sizeof options, compile_flags, 0};
        EXPECT_CODE(
            RZ_OK, err,
            api.program->compile(backend.device, &view, weights_, &options, &program, &err));
        EXPECT_CODE(RZ_OK, err, api.instance->create(program, &instance, &err));
        for (uint32_t i = 0; i < view.tensor_count; ++i) {
            if (is_leaf(i, RZ_ROLE_STATE)) bind_state(i, leaves[i]);
            if (is_leaf(i, RZ_ROLE_INPUT)) set_input(i, bytes_of(i, leaves[i]));
        }
        for (const TensorId out : graph.outputs())
            results_[out].resize(size_of(out));
    }
    ~Loaded() {
        const rz_plugin &api = backend_.api;
        api.instance->destroy(instance);
        api.program->destroy(program);
        api.weights->destroy(weights_);
        for (const auto &[id, buffer] : states_)
            api.buffer->destroy(buffer);
    }
    Loaded(const Loaded &) = delete;
    Loaded &operator=(const Loaded &) = delete;

    void set_input(TensorId id, std::vector<std::byte> bytes) { inputs_[id] = std::move(bytes); }
    rz_code submit(std::vector<rz_point> waits = {}, std::vector<rz_point> signals = {}) {
        prepare();
        submit_.waits = waits.data();
        submit_.wait_count = static_cast<uint32_t>(waits.size());
        submit_.signals = signals.data();
        submit_.signal_count = static_cast<uint32_t>(signals.size());
        return resubmit();
    }
    // The arguments of the last submit again, with nothing allocated.
    rz_code resubmit() {
        return backend_.api.queue->submit(backend_.queue, &submit_, &backend_.err);
    }

    Floats floats(TensorId id) const {
        const auto &bytes = results_.at(id);
        Floats values(bytes.size() / 4);
        std::memcpy(values.data(), bytes.data(), bytes.size());
        return values;
    }
    const std::vector<std::byte> &result(TensorId id) const { return results_.at(id); }
    std::vector<std::byte> state(TensorId id) const {
        std::vector<std::byte> bytes(size_of(id));
        std::memcpy(bytes.data(), backend_.api.buffer->map(states_.at(id)), bytes.size());
        return bytes;
    }

    rz_program *program = nullptr;
    rz_instance *instance = nullptr;

  private:
    bool is_leaf(TensorId id, rz_role role) const {
        return graph_.tensors()[id].role == role && graph_.tensors()[id].storage == id;
    }
    std::vector<int64_t> dims_of(TensorId id) const {
        const rz_tensor &t = graph_.tensors()[id];
        std::vector<int64_t> dims(t.dims, t.dims + t.rank);
        if (dims[0] < 0) dims[0] = symbols_[RZ_SYMBOL_INDEX(dims[0])];
        return dims;
    }
    size_t size_of(TensorId id) const {
        const rz_tensor &t = graph_.tensors()[id];
        uint64_t elements = 1;
        for (const int64_t d : dims_of(id))
            elements *= static_cast<uint64_t>(d);
        return row_bytes(static_cast<DType>(t.dtype), elements);
    }
    std::vector<std::byte> bytes_of(TensorId id, const RefValue &value) const {
        std::vector<std::byte> bytes(size_of(id));
        const Status status = ref_to_bytes(value, graph_.tensors()[id].dtype, bytes);
        EXPECT_TRUE(status.ok()) << status.error().message;
        return bytes;
    }
    void load(TensorId id, const RefValue &value) {
        const rz_tensor &t = graph_.tensors()[id];
        sources_.push_back(bytes_of(id, value));
        const auto &bytes = sources_.back();
        uint64_t rows = 1;
        for (uint32_t d = 0; d + 1 < t.rank; ++d)
            rows *= static_cast<uint64_t>(t.dims[d]);
        EXPECT_CODE(RZ_OK, backend_.err,
                    backend_.api.weights->load(weights_, t.key, 0, rows, bytes.data(), bytes.size(),
                                               id % 2 ? RZ_LOAD_STABLE : 0, &backend_.err));
    }
    void bind_state(TensorId id, const RefValue &value) {
        const std::vector<std::byte> bytes = bytes_of(id, value);
        rz_buffer *buffer = nullptr;
        const rz_plugin &api = backend_.api;
        Error &err = backend_.err;
        EXPECT_CODE(RZ_OK, err, api.buffer->create(backend_.device, bytes.size(), &buffer, &err));
        EXPECT_CODE(RZ_OK, err, api.buffer->write(buffer, 0, bytes.data(), bytes.size(), &err));
        states_[id] = buffer;
        const rz_binding binding{sizeof binding, 0, id, 0, buffer, 0};
        EXPECT_CODE(RZ_OK, err, api.instance->bind(instance, &binding, sizeof binding, 1, &err));
    }
    void prepare() {
        updates_.clear();
        reads_.clear();
        for (const auto &[id, bytes] : inputs_)
            updates_.push_back({sizeof(rz_update), 0, id, 0, 0, bytes.size(), bytes.data()});
        for (auto &[id, bytes] : results_)
            reads_.push_back({sizeof(rz_read), 0, id, 0, 0, bytes.size(), bytes.data()});
        submit_ = {};
        submit_.struct_size = sizeof submit_;
        submit_.instance = instance;
        submit_.symbols = symbols_.data();
        submit_.symbol_count = static_cast<uint32_t>(symbols_.size());
        submit_.updates = updates_.data();
        submit_.update_count = static_cast<uint32_t>(updates_.size());
        submit_.update_stride = sizeof(rz_update);
        submit_.reads = reads_.data();
        submit_.read_count = static_cast<uint32_t>(reads_.size());
        submit_.read_stride = sizeof(rz_read);
    }

    Backend &backend_;
    const Graph &graph_;
    std::vector<int64_t> symbols_;
    rz_weights *weights_ = nullptr;
    std::vector<std::vector<std::byte>> sources_;
    std::map<TensorId, rz_buffer *> states_;
    std::map<TensorId, std::vector<std::byte>> inputs_, results_;
    std::vector<rz_update> updates_;
    std::vector<rz_read> reads_;
    rz_submit submit_{};
};

} // namespace realizar::cpu::test
