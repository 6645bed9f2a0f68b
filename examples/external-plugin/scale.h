// A complete small backend: one device, one operator (SCALE), in C++17 against backend.h alone.
//
// Inside, errors are exceptions; guarded() turns them into codes at each function of the ABI, so none
// leaves the library.
#pragma once

#include <realizar/backend.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

struct rz_driver {
    const rz_host *host;
};

struct rz_device {
    const rz_host *host;
    std::atomic<uint64_t> submissions{0};
    std::atomic<uint64_t> dispatches{0};
};

struct rz_buffer {
    std::vector<std::byte> bytes; // zeros when new
};

struct rz_timeline {
    std::mutex mutex;
    std::condition_variable changed;
    uint64_t value = 0;
    rz_code failure = RZ_OK;
    std::string message; // of the failure
};

namespace scale {

constexpr uint32_t kAlignment = 16; // of bound offsets

struct Failure {
    rz_code code;
    std::string message;
    uint32_t node = RZ_NONE;
};

inline void require(bool holds, const char *expected, rz_code code = RZ_INVALID_ARGUMENT) {
    if (!holds) throw Failure{code, std::string("expected ") + expected};
}

inline rz_code report(rz_error *err, const Failure &failure) {
    if (err && err->struct_size >= sizeof *err) {
        err->code = failure.code;
        err->native_code = 0;
        err->node = failure.node;
        std::snprintf(err->message, sizeof err->message, "%s", failure.message.c_str());
    }
    return failure.code;
}

template <class F>
rz_code guarded(rz_error *err, F &&work) noexcept {
    try {
        work();
        return RZ_OK;
    } catch (const Failure &failure) {
        return report(err, failure);
    } catch (const std::bad_alloc &) {
        return err ? report(err, {RZ_OUT_OF_MEMORY, "no memory left"}) : RZ_OUT_OF_MEMORY;
    } catch (...) {
        return RZ_INTERNAL;
    }
}

// The struct rules: large enough, no required flag that we do not know.
template <class T>
void check_struct(const T *object) {
    require(object != nullptr, "a struct, found NULL");
    require(object->struct_size >= sizeof(T), "a struct_size of at least that of ABI 0.1");
    require((object->flags & 0xffffu) == 0, "no required flag", RZ_UNSUPPORTED);
}

// Element of an array whose elements may be larger than ours.
template <class T>
const T &at(const T *array, uint32_t stride, uint32_t index) {
    return *reinterpret_cast<const T *>(reinterpret_cast<const std::byte *>(array) +
                                        uint64_t{stride} * index);
}

// y = x * factor + bias, for tensors `input` and `output` of the program.
struct Step {
    uint32_t input;
    uint32_t output;
    float factor;
    float bias;
};

// The graph's tensors and nodes, checked and copied. Throws Failure; UNSUPPORTED names the node.
struct Plan {
    std::vector<rz_tensor> tensors;
    std::vector<rz_symbol> symbols;
    std::vector<uint32_t> outputs;
    std::vector<Step> steps;
};
std::vector<rz_tensor> read_tensors(const rz_graph &graph);
bool can_run(const std::vector<rz_tensor> &tensors, const rz_node &node, Step *step);
Plan make_plan(const rz_graph &graph);

// dims[0] with the symbol's value in place of a symbol.
int64_t rows_of(const rz_tensor &tensor, const int64_t *symbols);
// Bytes from the first element to one past the last.
uint64_t bytes_of(const rz_tensor &tensor, int64_t rows);

void break_timeline(rz_timeline &timeline, const Failure &failure);
void advance_timeline(rz_timeline &timeline, uint64_t value);
void wait_timeline(rz_timeline &timeline, uint64_t value, uint64_t timeout_ns);

extern const rz_driver_api driver_api;
extern const rz_device_api device_api;
extern const rz_buffer_api buffer_api;
extern const rz_weights_api weights_api;
extern const rz_program_api program_api;
extern const rz_instance_api instance_api;
extern const rz_queue_api queue_api;
extern const rz_timeline_api timeline_api;

} // namespace scale

struct rz_program {
    scale::Plan plan;
};

struct rz_instance {
    const rz_program *program;
    std::vector<std::vector<std::byte>> own; // per storage that is not bound
    std::vector<std::byte *> storage;        // per tensor that is a storage
};
