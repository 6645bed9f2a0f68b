// The backend "reference" opened through its ABI tables, with a host that counts memory.
#pragma once

#include "core/graph/builder.h"
#include "core/reference/reference.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace realizar::test {

struct AbiError : rz_error {
    AbiError() : rz_error{} { struct_size = sizeof(rz_error); }
};

#define EXPECT_CODE(expected, err, call)                                                           \
    EXPECT_EQ(expected, (call)) << "message: " << (err).message;                                   \
    EXPECT_TRUE((expected) == RZ_OK || (err).message[0] != 0)

class AbiSession {
  public:
    AbiSession() {
        host_.struct_size = sizeof host_;
        host_.self = this;
        host_.alloc = [](void *self, uint64_t size, uint64_t align) -> void * {
            auto &session = *static_cast<AbiSession *>(self);
            if (session.out_of_memory) return nullptr;
            ++session.blocks;
            return std::aligned_alloc(align, (size + align - 1) / align * align);
        };
        host_.free = [](void *self, void *memory) {
            --static_cast<AbiSession *>(self)->blocks;
            std::free(memory);
        };
        EXPECT_CODE(RZ_OK, err, api.driver->create(&host_, &driver, &err));
        EXPECT_CODE(RZ_OK, err, api.driver->open(driver, 0, &device, &err));
        EXPECT_CODE(RZ_OK, err, api.queue->create(device, &queue, &err));
    }
    ~AbiSession() {
        api.queue->destroy(queue);
        api.device->close(device);
        api.driver->destroy(driver);
        EXPECT_EQ(blocks, 0) << "memory of the host was not given back";
    }
    AbiSession(const AbiSession &) = delete;
    AbiSession &operator=(const AbiSession &) = delete;

    rz_buffer *buffer(uint64_t size) {
        rz_buffer *out = nullptr;
        EXPECT_CODE(RZ_OK, err, api.buffer->create(device, size, &out, &err));
        return out;
    }
    rz_timeline *timeline(uint64_t initial) {
        rz_timeline *out = nullptr;
        EXPECT_CODE(RZ_OK, err, api.timeline->create(device, initial, &out, &err));
        return out;
    }
    const rz_host &host() const { return host_; }

    const rz_plugin &api = *reference_plugin();
    AbiError err;
    rz_driver *driver = nullptr;
    rz_device *device = nullptr;
    rz_queue *queue = nullptr;
    std::atomic<int> blocks{0};
    std::atomic<bool> out_of_memory{false};

  private:
    rz_host host_{};
};

// A compiled graph with one instance.
class AbiRun {
  public:
    AbiRun(AbiSession &session, const Graph &graph, rz_weights *weights = nullptr)
        : session_(session) {
        const rz_graph view = graph.view();
        EXPECT_CODE(RZ_OK, session.err,
                    session.api.program->compile(session.device, &view, weights, nullptr, &program,
                                                 &session.err));
        EXPECT_CODE(RZ_OK, session.err,
                    session.api.instance->create(program, &instance, &session.err));
    }
    ~AbiRun() {
        session_.api.instance->destroy(instance);
        session_.api.program->destroy(program);
    }
    AbiRun(const AbiRun &) = delete;
    AbiRun &operator=(const AbiRun &) = delete;

    rz_code bind(TensorId tensor, rz_buffer *buffer, uint64_t offset = 0) {
        rz_binding binding{sizeof binding, 0, tensor, 0, buffer, offset};
        return session_.api.instance->bind(instance, &binding, sizeof binding, 1, &session_.err);
    }

    rz_program *program = nullptr;
    rz_instance *instance = nullptr;

  private:
    AbiSession &session_;
};

// The arguments of one submission, with vectors behind the pointers.
struct AbiSubmit {
    rz_instance *instance;
    std::vector<int64_t> symbols;
    std::vector<rz_update> updates;
    std::vector<rz_read> reads;
    std::vector<rz_point> waits, signals;

    template <class T>
    void update(TensorId tensor, const std::vector<T> &data, size_t first = 0) {
        updates.push_back({sizeof(rz_update), 0, tensor, 0, first * sizeof(T),
                           data.size() * sizeof(T), data.data()});
    }
    template <class T>
    void read(TensorId tensor, std::vector<T> &data, size_t first = 0) {
        reads.push_back({sizeof(rz_read), 0, tensor, 0, first * sizeof(T), data.size() * sizeof(T),
                         data.data()});
    }
    // Points into this object.
    rz_submit arguments() const && = delete;
    rz_submit arguments() const & {
        rz_submit out{};
        out.struct_size = sizeof out;
        out.instance = instance;
        out.symbols = symbols.data();
        out.updates = updates.data();
        out.reads = reads.data();
        out.waits = waits.data();
        out.signals = signals.data();
        out.symbol_count = static_cast<uint32_t>(symbols.size());
        out.update_count = static_cast<uint32_t>(updates.size());
        out.read_count = static_cast<uint32_t>(reads.size());
        out.wait_count = static_cast<uint32_t>(waits.size());
        out.signal_count = static_cast<uint32_t>(signals.size());
        out.update_stride = sizeof(rz_update);
        out.read_stride = sizeof(rz_read);
        return out;
    }
    rz_code run(AbiSession &session) const {
        const rz_submit submit = arguments();
        return session.api.queue->submit(session.queue, &submit, &session.err);
    }
};

} // namespace realizar::test
