// A small correct plugin that computes on one thread, for the negative controls of the kit.
// Plain on purpose: one file per ABI table, operators in ops.cpp.
#pragma once

#include "core/graph/graph.h"
#include "core/graph/layout.h"
#include "fault.h"
#include "realizar/backend.h"

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <vector>

struct rz_driver {
    const rz_host *host;
};

struct rz_device {
    rz_driver *driver;
    std::atomic<uint64_t> submissions{0};
    // "x-realizar.fault/1": the next submission that starts fails with this.
    std::atomic<rz_code> next_failure{RZ_OK};
};

struct rz_buffer {
    std::vector<uint8_t> bytes;
};

struct LoadedWeight {
    uint64_t rows = 0, row_bytes = 0, loaded = 0;
    std::vector<uint8_t> bytes;
};

struct rz_weights {
    std::map<uint64_t, LoadedWeight> by_key;
};

struct rz_program {
    rz_device *device;
    realizar::Graph graph;
    rz_weights *weights;
    bool fuse;
};

struct rz_instance {
    rz_program *program;
    std::vector<std::vector<uint8_t>> own; // by tensor, empty for WEIGHT, STATE and views
    std::vector<rz_binding> bound;         // by tensor, buffer NULL if not bound
    std::vector<int64_t> symbols;          // of the running submission
    std::mutex running;

    uint8_t *storage(uint32_t tensor); // NULL for an unbound STATE
};

struct rz_queue {
    rz_device *device;
};

struct rz_timeline {
    std::mutex mutex;
    std::condition_variable changed;
    uint64_t value = 0;
    rz_code failure = RZ_OK;
    std::string message;
};

extern const rz_driver_api kDriverApi;
extern const rz_device_api kDeviceApi;
extern const rz_buffer_api kBufferApi;
extern const rz_weights_api kWeightsApi;
extern const rz_program_api kProgramApi;
extern const rz_instance_api kInstanceApi;
extern const rz_queue_api kQueueApi;
extern const rz_timeline_api kTimelineApi;

// Fills err (may be NULL) and returns the code.
[[gnu::format(printf, 3, 4)]] rz_code fail(rz_error *err, rz_code code, const char *format, ...);

inline bool unknown_required(uint32_t flags, uint32_t known = 0) {
    return !has(Fault::ignores_required_flags) && (flags & 0xffffu & ~known) != 0;
}

rz_code timeline_reach(rz_timeline *timeline, uint64_t value, rz_code failure,
                       const std::string &message);
rz_code timeline_wait(rz_timeline *timeline, uint64_t value, uint64_t timeout_ns,
                      std::string &message);

// The capability table, and whether node `index` of a valid graph is among it.
uint32_t capability_count();
const rz_capability *capability_rows();
bool supports(const realizar::Graph &graph, const rz_node &node);

// Runs the nodes of the instance's program with instance.symbols.
void execute(rz_instance &instance);
