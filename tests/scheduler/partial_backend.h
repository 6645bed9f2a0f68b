// Backends that compute as the reference does, but can be told what to refuse and when to fail.
#pragma once

#include "core/plugin/device.h"
#include "core/plugin/host.h"
#include "core/reference/reference.h"

#include <cstdio>
#include <set>

namespace realizar::test {

template <int kNumber>
struct BasicPartialBackend {
    static inline std::set<uint32_t> refused; // RZ_OP_*
    static inline int failing_waits = 0;      // that many waits still fail
    static inline uint64_t memory_free = 0;   // that devices tell of; 0: not known
    static inline std::set<uint32_t> broken;  // RZ_OP_*: claimed, but refused by compile
    // The device is lost with the submission after so many; below 0: never. Then everything fails,
    // first that submission, or, `loses_late`, the wait for it.
    static inline int submits_left = -1;
    static inline bool loses_late = false;
    static inline bool lost = false;
    static inline bool held = false; // who asks without waiting hears that nothing has ended yet
    static inline int submits = 0;   // so far

    static void reset() {
        refused.clear();
        broken.clear();
        failing_waits = 0;
        memory_free = 0;
        submits_left = -1;
        loses_late = lost = held = false;
        submits = 0;
    }

    // A device of the backend; `host` outlives it.
    static Result<DevicePtr> open(Host &host) {
        static const rz_plugin table = make_table();
        RZ_ASSIGN(auto plugin, Plugin::from_table(&table));
        RZ_ASSIGN(auto driver, Driver::create(std::move(plugin), host));
        return Device::open(std::move(driver), 0);
    }

  private:
    static rz_code classify(rz_device *device, const rz_graph *graph, uint8_t *states,
                            rz_error *err) {
        const rz_code code = reference_plugin()->device->classify(device, graph, states, err);
        for (uint32_t i = 0; code == RZ_OK && i < graph->node_count; ++i)
            if (refused.contains(graph->nodes[i].op)) states[i] = RZ_NODE_NO;
        return code;
    }
    static rz_code fail_lost(rz_error *err) {
        if (err) std::snprintf(err->message, sizeof err->message, "lost on purpose");
        return RZ_DEVICE_LOST;
    }
    static rz_code create_buffer(rz_device *device, uint64_t size, rz_buffer **out, rz_error *err) {
        return lost ? fail_lost(err) : reference_plugin()->buffer->create(device, size, out, err);
    }
    static rz_code compile(rz_device *device, const rz_graph *graph, rz_weights *weights,
                           const rz_compile_options *options, rz_program **out, rz_error *err) {
        if (lost) return fail_lost(err);
        for (uint32_t i = 0; i < graph->node_count; ++i) {
            if (!broken.contains(graph->nodes[i].op)) continue;
            if (err) err->node = i;
            return RZ_UNSUPPORTED;
        }
        return reference_plugin()->program->compile(device, graph, weights, options, out, err);
    }
    static rz_code submit(rz_queue *queue, const rz_submit *submission, rz_error *err) {
        ++submits;
        if (submits_left > 0)
            --submits_left;
        else if (submits_left == 0)
            lost = true;
        if (lost && !loses_late) return fail_lost(err);
        return lost ? RZ_OK : reference_plugin()->queue->submit(queue, submission, err);
    }
    static rz_code wait(rz_timeline *timeline, uint64_t value, uint64_t timeout, rz_error *err) {
        if (lost) return fail_lost(err);
        if (held && timeout == 0) return RZ_TIMEOUT;
        if (failing_waits == 0)
            return reference_plugin()->timeline->wait(timeline, value, timeout, err);
        --failing_waits;
        if (err) std::snprintf(err->message, sizeof err->message, "failing on purpose");
        return RZ_OUT_OF_MEMORY;
    }
    static rz_code enumerate(rz_driver *driver, rz_device_info *infos, uint32_t stride,
                             uint32_t *count, rz_error *err) {
        const rz_code code =
            reference_plugin()->driver->enumerate(driver, infos, stride, count, err);
        if (code == RZ_OK && infos) infos->memory_free = memory_free;
        return code;
    }
    static rz_plugin make_table() {
        static rz_driver_api driver = *reference_plugin()->driver;
        driver.enumerate = enumerate;
        static rz_device_api device = *reference_plugin()->device;
        device.classify = classify;
        static rz_timeline_api timeline = *reference_plugin()->timeline;
        timeline.wait = wait;
        static rz_buffer_api buffer = *reference_plugin()->buffer;
        buffer.create = create_buffer;
        static rz_program_api program = *reference_plugin()->program;
        program.compile = compile;
        static rz_queue_api queue = *reference_plugin()->queue;
        queue.submit = submit;
        rz_plugin table = *reference_plugin();
        table.id = kNumber == 1 ? "partial" : "second";
        table.driver = &driver;
        table.device = &device;
        table.timeline = &timeline;
        table.buffer = &buffer;
        table.program = &program;
        table.queue = &queue;
        return table;
    }
};

using PartialBackend = BasicPartialBackend<1>;
using SecondBackend = BasicPartialBackend<2>;

} // namespace realizar::test
