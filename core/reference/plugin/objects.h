// The objects behind the handles of the ABI, and the tables of their functions.
//
// The handles are pointers to these classes. A plugin in a shared library of its own would simply
// define rz_buffer and the others; this backend is linked into the core, where those names belong
// to nobody.
#pragma once

#include "core/graph/graph.h"
#include "core/reference/plugin/support.h"
#include "core/reference/reference.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace realizar::reference {

struct Driver {
    const rz_host *host;
};

struct Device {
    const rz_host *host;
    Counters counters;
};

struct Buffer {
    Device *device;
    HostMemory memory;
};

// One weight in its canonical bytes, rows [0, loaded) of them present.
struct Weight {
    rz_dtype dtype;
    Shape shape;
    uint64_t rows;
    uint64_t row_size;
    uint64_t loaded = 0;
    const std::byte *data = nullptr; // into `copy`, or into the caller's stable bytes
    HostMemory copy;
};

struct Weights {
    Device *device;
    std::map<uint64_t, Weight> by_key;
    bool finished = false;
};

struct Program {
    Device *device;
    Graph graph;
    std::vector<const Weight *> weights; // by tensor; nullptr for other roles and views
    uint64_t scratch_bytes = 0;
};

// The bytes of an INPUT, STATE or output: a bound buffer's, or the instance's own.
struct Slot {
    std::byte *bound = nullptr;
    HostMemory own; // as large as the largest submission so far needed
};

struct Instance {
    Program *program;
    std::vector<Slot> slots;     // by tensor
    std::vector<RefValue> temps; // by tensor
    std::mutex running;          // one submission at a time, also from several queues
};

struct Queue {
    Device *device;
};

// A rising counter that can fail. All members are guarded by `mutex`.
struct Timeline {
    Device *device;
    std::mutex mutex;
    std::condition_variable changed;
    uint64_t value;
    rz_code failure = RZ_OK;
    std::string message;

    // Blocks until `target` is reached, the timeline fails or the time is over (UINT64_MAX: never).
    rz_code wait(uint64_t target, uint64_t timeout_ns, rz_error *err);
    void advance(uint64_t target); // never backwards
    void fail_with(rz_code code, const char *text);
};

// handle <-> object
#define RZ_OBJECT(Type, rz_type)                                                                   \
    inline Type &object(rz_type *handle) { return *reinterpret_cast<Type *>(handle); }             \
    inline rz_type *handle(Type *object) { return reinterpret_cast<rz_type *>(object); }
RZ_OBJECT(Driver, rz_driver)
RZ_OBJECT(Device, rz_device)
RZ_OBJECT(Buffer, rz_buffer)
RZ_OBJECT(Weights, rz_weights)
RZ_OBJECT(Program, rz_program)
RZ_OBJECT(Instance, rz_instance)
RZ_OBJECT(Queue, rz_queue)
RZ_OBJECT(Timeline, rz_timeline)
#undef RZ_OBJECT

template <class T>
rz_code check_handle(const T *handle, const char *name, rz_error *err) {
    if (handle != nullptr) return RZ_OK;
    return fail(err, RZ_INVALID_ARGUMENT, "%s: expected an address, found NULL", name);
}

// What every destroy does.
template <class T>
void destroy_object(T *handle) {
    if (handle != nullptr) delete &object(handle);
}

extern const rz_driver_api kDriverApi;
extern const rz_device_api kDeviceApi;
extern const rz_buffer_api kBufferApi;
extern const rz_weights_api kWeightsApi;
extern const rz_program_api kProgramApi;
extern const rz_instance_api kInstanceApi;
extern const rz_queue_api kQueueApi;
extern const rz_timeline_api kTimelineApi;

} // namespace realizar::reference
