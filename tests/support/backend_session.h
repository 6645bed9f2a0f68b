// The backend that a test links to, opened through its entry function, and graphs run on it. Errors in its
// log fail the test.
#pragma once

#include "core/graph/layout.h"
#include "core/reference/reference.h"
#include "realizar/backend.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace realizar::test {

struct Error : rz_error {
    Error() : rz_error{} { struct_size = sizeof(rz_error); }
};

#define EXPECT_CODE(expected, err, call)                                                           \
    EXPECT_EQ(expected, (call)) << "message: " << (err).message;                                   \
    EXPECT_TRUE((expected) == RZ_OK || (err).message[0] != 0)

// Sets a variable of the environment for as long as it lives.
class Variable {
  public:
    Variable(const char *name, const char *value) : name_(name) { setenv(name, value, 1); }
    ~Variable() { unsetenv(name_); }
    Variable(const Variable &) = delete;
    Variable &operator=(const Variable &) = delete;

  private:
    const char *name_;
};

inline const rz_plugin &linked_plugin() {
    const rz_hello hello = {sizeof(rz_hello),        0, RZ_ABI_MAJOR, RZ_ABI_MINOR, RZ_ABI_HASH,
                            REALIZAR_SANITIZER_KIND, 0};
    const rz_plugin *table = nullptr;
    Error err;
    EXPECT_CODE(RZ_OK, err, rz_plugin_entry_v1(&hello, &table, &err));
    return *table;
}

// Host services: a log that remembers errors, and a cache in memory.
class Host {
  public:
    Host() {
        table.struct_size = sizeof table;
        table.self = this;
        table.log = [](void *self, uint32_t level, const char *message) {
            if (level < RZ_LOG_ERROR) return;
            auto &host = *static_cast<Host *>(self);
            ++host.errors;
            if (!host.expect_errors) ADD_FAILURE() << message;
        };
        table.alloc = [](void *, uint64_t size, uint64_t align) {
            return std::aligned_alloc(align, (size + align - 1) / align * align);
        };
        table.free = [](void *, void *memory) { std::free(memory); };
        table.parallel_for = [](void *, uint64_t n, uint64_t, rz_range_fn fn, void *context) {
            fn(context, 0, n);
        };
        table.thread_budget = [](void *) -> uint32_t { return 1; };
        table.cache_get = [](void *self, const char *key, void *data, uint64_t *size) -> rz_code {
            const auto &stored = static_cast<Host *>(self)->cache;
            const auto found = stored.find(key);
            if (found == stored.end()) return RZ_UNAVAILABLE;
            const uint64_t room = *size;
            *size = found->second.size();
            if (*size > room) return RZ_BUSY;
            std::memcpy(data, found->second.data(), *size);
            return RZ_OK;
        };
        table.cache_put = [](void *self, const char *key, const void *data,
                             uint64_t size) -> rz_code {
            const auto *bytes = static_cast<const std::byte *>(data);
            static_cast<Host *>(self)->cache[key].assign(bytes, bytes + size);
            return RZ_OK;
        };
        table.cancelled = [](void *) -> uint32_t { return 0; };
        table.get_extension = [](void *, const char *) -> const void * { return nullptr; };
    }
    rz_host table{};
    std::atomic<int> errors{0};
    bool expect_errors = false;
    std::map<std::string, std::vector<std::byte>> cache; // used by one thread at a time
};

// A driver, the first device, a queue and a timeline. `opened` says whether that went well.
class Backend {
  public:
    Backend() {
        opened = api.driver->create(&host.table, &driver, &err);
        if (opened == RZ_OK) opened = api.driver->open(driver, 0, &device, &err);
        if (opened == RZ_OK) opened = api.queue->create(device, &queue, &err);
        if (opened == RZ_OK) opened = api.timeline->create(device, 0, &timeline, &err);
    }
    ~Backend() {
        api.queue->destroy(queue);
        api.timeline->destroy(timeline);
        api.device->close(device);
        api.driver->destroy(driver);
    }
    Backend(const Backend &) = delete;
    Backend &operator=(const Backend &) = delete;

    rz_counters counters() {
        rz_counters c{};
        c.struct_size = sizeof c;
        EXPECT_CODE(RZ_OK, err, api.device->counters(device, &c, &err));
        return c;
    }

    const rz_plugin &api = linked_plugin();
    Host host;
    Error err;
    rz_code opened = RZ_OK;
    rz_driver *driver = nullptr;
    rz_device *device = nullptr;
    rz_queue *queue = nullptr;
    rz_timeline *timeline = nullptr;
    uint64_t signalled = 0;
};

// Skips with the sentence of driver.create where the machine has no driver.
#define RZ_REQUIRE_OPENED(backend)                                                                 \
    if ((backend).opened == RZ_UNAVAILABLE) GTEST_SKIP() << (backend).err.message;                 \
    ASSERT_EQ((backend).opened, RZ_OK) << (backend).err.message

// A graph with values for its leaves, compiled and bound. Values of weights are the decoded numbers
// that `leaves` hold. `code` is the first failure.
class Loaded {
  public:
    Loaded(Backend &backend, const Graph &graph, std::vector<int64_t> symbols,
           const std::vector<RefValue> &leaves, uint32_t compile_flags = 0)
        : backend_(backend), graph_(graph), symbols_(std::move(symbols)) {
        const rz_graph view = graph.view();
        const rz_plugin &api = backend.api;
        note(api.weights->create(backend.device, &view, 0, &weights_, &backend.err));
        for (uint32_t i = 0; code == RZ_OK && i < view.tensor_count; ++i)
            if (is_leaf(i, RZ_ROLE_WEIGHT)) load(i, leaves[i]);
        if (code == RZ_OK) note(api.weights->finish(weights_, &backend.err));
        const rz_compile_options options{sizeof options, compile_flags, 0};
        if (code == RZ_OK)
            note(api.program->compile(backend.device, &view, weights_, &options, &program,
                                      &backend.err));
        if (code == RZ_OK) note(api.instance->create(program, &instance, &backend.err));
        for (uint32_t i = 0; code == RZ_OK && i < view.tensor_count; ++i) {
            if (is_leaf(i, RZ_ROLE_STATE)) bind_state(i, leaves[i]);
            if (is_leaf(i, RZ_ROLE_INPUT)) inputs_[i] = bytes_of(i, leaves[i]);
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

    // Submits and waits.
    rz_code run() {
        std::vector<rz_update> updates;
        std::vector<rz_read> reads;
        for (const auto &[id, bytes] : inputs_)
            updates.push_back({sizeof(rz_update), 0, id, 0, 0, bytes.size(), bytes.data()});
        for (auto &[id, bytes] : results_)
            reads.push_back({sizeof(rz_read), 0, id, 0, 0, bytes.size(), bytes.data()});
        const rz_point signal = {backend_.timeline, ++backend_.signalled};
        rz_submit submit{};
        submit.struct_size = sizeof submit;
        submit.instance = instance;
        submit.symbols = symbols_.data();
        submit.symbol_count = static_cast<uint32_t>(symbols_.size());
        submit.updates = updates.data();
        submit.update_count = static_cast<uint32_t>(updates.size());
        submit.update_stride = sizeof(rz_update);
        submit.reads = reads.data();
        submit.read_count = static_cast<uint32_t>(reads.size());
        submit.read_stride = sizeof(rz_read);
        submit.signals = &signal;
        submit.signal_count = 1;
        const rz_plugin &api = backend_.api;
        const rz_code submitted = api.queue->submit(backend_.queue, &submit, &backend_.err);
        if (submitted != RZ_OK) return submitted;
        return api.timeline->wait(signal.timeline, signal.value, UINT64_MAX, &backend_.err);
    }

    std::vector<float> floats(TensorId id) const {
        const auto &bytes = results_.at(id);
        std::vector<float> values(bytes.size() / 4);
        std::memcpy(values.data(), bytes.data(), bytes.size());
        return values;
    }
    rz_program_info info() {
        rz_program_info info{};
        info.struct_size = sizeof info;
        EXPECT_CODE(RZ_OK, backend_.err, backend_.api.program->info(program, &info, &backend_.err));
        return info;
    }

    rz_code code = RZ_OK;
    rz_program *program = nullptr;
    rz_instance *instance = nullptr;

  private:
    void note(rz_code result) {
        if (code == RZ_OK) code = result;
    }
    bool is_leaf(TensorId id, rz_role role) const {
        return graph_.tensors()[id].role == role && graph_.tensors()[id].storage == id;
    }
    size_t size_of(TensorId id) const {
        const rz_tensor &t = graph_.tensors()[id];
        uint64_t elements = 1;
        for (uint32_t d = 0; d < t.rank; ++d)
            elements *= static_cast<uint64_t>(t.dims[d] < 0 ? symbols_[RZ_SYMBOL_INDEX(t.dims[d])]
                                                            : t.dims[d]);
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
        const auto bytes = bytes_of(id, value);
        uint64_t rows = 1;
        for (uint32_t d = 0; d + 1 < t.rank; ++d)
            rows *= static_cast<uint64_t>(t.dims[d]);
        // In two parts where there are rows for it.
        const uint64_t first = rows / 2, row = bytes.size() / rows;
        const rz_weights_api &api = *backend_.api.weights;
        note(api.load(weights_, t.key, 0, first, bytes.data(), first * row, 0, &backend_.err));
        note(api.load(weights_, t.key, first, rows - first, bytes.data() + first * row,
                      (rows - first) * row, 0, &backend_.err));
    }
    void bind_state(TensorId id, const RefValue &value) {
        const std::vector<std::byte> bytes = bytes_of(id, value);
        const rz_plugin &api = backend_.api;
        rz_buffer *buffer = nullptr;
        note(api.buffer->create(backend_.device, bytes.size(), &buffer, &backend_.err));
        if (code != RZ_OK) return;
        states_[id] = buffer;
        note(api.buffer->write(buffer, 0, bytes.data(), bytes.size(), &backend_.err));
        const rz_binding binding{sizeof binding, 0, id, 0, buffer, 0};
        note(api.instance->bind(instance, &binding, sizeof binding, 1, &backend_.err));
    }

    Backend &backend_;
    const Graph &graph_;
    std::vector<int64_t> symbols_;
    rz_weights *weights_ = nullptr;
    std::map<TensorId, rz_buffer *> states_;
    std::map<TensorId, std::vector<std::byte>> inputs_, results_;
};

// Values of all leaves as the device sees them: rounded to their types.
inline std::vector<RefValue> random_leaves(const Graph &graph, std::span<const int64_t> symbols,
                                           uint32_t seed) {
    std::mt19937 engine(seed);
    std::normal_distribution<double> normal(0, 0.5);
    std::vector<RefValue> values(graph.tensors().size());
    for (size_t i = 0; i < values.size(); ++i) {
        const rz_tensor &t = graph.tensors()[i];
        if (t.role == RZ_ROLE_TEMP || t.storage != i) continue;
        size_t count = 1;
        for (uint32_t d = 0; d < t.rank; ++d) {
            const int64_t dim = t.dims[d] < 0 ? symbols[RZ_SYMBOL_INDEX(t.dims[d])] : t.dims[d];
            values[i].dims.push_back(dim);
            count *= static_cast<size_t>(dim);
        }
        values[i].data.resize(count);
        for (double &value : values[i].data)
            value = static_cast<float>(normal(engine));
        std::vector<std::byte> bytes(row_bytes(static_cast<DType>(t.dtype), count));
        // Again until nothing changes: some types do not round what they gave to itself.
        for (int round = 0; round < 8; ++round) {
            EXPECT_TRUE(ref_to_bytes(values[i], t.dtype, bytes).ok());
            auto rounded = ref_from_bytes(t.dtype, values[i].dims, bytes);
            EXPECT_TRUE(rounded.ok());
            if (!rounded.ok()) break;
            const bool same = rounded->data == values[i].data;
            values[i] = std::move(rounded).value();
            if (same) break;
        }
    }
    return values;
}

// Root mean square of the difference relative to that of the reference.
inline double distance(const std::vector<float> &y, const RefValue &expected) {
    if (y.size() != expected.data.size()) return INFINITY;
    double error = 0, size = 0;
    for (size_t i = 0; i < y.size(); ++i) {
        const double d = y[i] - expected.data[i];
        error += d * d;
        size += expected.data[i] * expected.data[i];
    }
    return std::sqrt(error / (size + 1e-20));
}

} // namespace realizar::test
