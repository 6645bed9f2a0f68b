#include "core/reference/plugin/objects.h"

#include "core/reference/execute.h"

#include <algorithm>

namespace realizar::reference {
namespace {

constexpr uint64_t kCacheTypes = RZ_DTYPE_BIT(RZ_DTYPE_F32) | RZ_DTYPE_BIT(RZ_DTYPE_F16) |
                                 RZ_DTYPE_BIT(RZ_DTYPE_Q8_0) | RZ_DTYPE_BIT(RZ_DTYPE_Q4_0);
constexpr uint64_t kCopyTypes =
    RZ_DTYPE_BIT(RZ_DTYPE_F32) | RZ_DTYPE_BIT(RZ_DTYPE_F16) | RZ_DTYPE_BIT(RZ_DTYPE_BF16);

// The types of the op's typed operand, as far as there is a codec.
uint64_t dtypes_of(uint32_t op) {
    uint64_t decoded = 0;
    for (const DTypeInfo &info : dtype_table())
        if (const auto id = static_cast<rz_dtype>(info.dtype); ref_can_decode(id))
            decoded |= RZ_DTYPE_BIT(id);
    switch (op) {
    case RZ_OP_GET_ROWS:
    case RZ_OP_MATMUL:
    case RZ_OP_EXPERT_MATMUL: return decoded;
    case RZ_OP_KV_WRITE:
    case RZ_OP_ATTENTION: return decoded & kCacheTypes;
    case RZ_OP_COPY: return decoded & kCopyTypes;
    default: return RZ_DTYPE_BIT(RZ_DTYPE_F32);
    }
}

void close(rz_device *device) { destroy_object(device); }

rz_code capabilities(rz_device *device, rz_capability *rows, uint32_t stride, uint32_t *count,
                     rz_error *err) {
    RZ_CHECK(check_handle(device, "device", err));
    RZ_CHECK(check_handle(count, "count", err));
    constexpr uint32_t kRows = RZ_OP_COUNT - 1;
    const uint32_t room = rows == nullptr ? 0 : std::min(*count, kRows);
    RZ_CHECK(check_array(rows, room, stride, "capability", err));
    for (uint32_t i = 0; i < room; ++i) {
        rz_capability &row = element(rows, stride, i);
        row.op = i + 1;
        row.version = 1;
        row.dtypes = dtypes_of(row.op);
    }
    *count = kRows;
    return RZ_OK;
}

rz_code classify(rz_device *device, const rz_graph *graph, uint8_t *states, rz_error *err) {
    return guarded(err, [&]() -> rz_code {
        RZ_CHECK(check_handle(device, "device", err));
        RZ_CHECK(check_handle(graph, "graph", err));
        std::vector<bool> unknown;
        if (Status status = validate_graph(*graph, &unknown); !status)
            return fail(err, status.error());
        if (graph->node_count > 0) RZ_CHECK(check_handle(states, "place for the states", err));
        for (uint32_t i = 0; i < graph->node_count; ++i)
            states[i] = !unknown[i] && ref_check_node(*graph, i).ok() ? RZ_NODE_YES : RZ_NODE_NO;
        return RZ_OK;
    });
}

rz_code counters(rz_device *device, rz_counters *out, rz_error *err) {
    RZ_CHECK(check_handle(device, "device", err));
    RZ_CHECK(check_struct(out, "counters", err));
    const Counters &from = object(device).counters;
    out->submissions = from.submissions;
    out->dispatches = from.dispatches;
    out->barriers = 0;
    out->allocations = from.allocations;
    out->bytes_written = from.bytes_written;
    out->bytes_read = from.bytes_read;
    out->memory_used = from.memory_used;
    out->memory_peak = from.memory_peak;
    return RZ_OK;
}

} // namespace

const rz_device_api kDeviceApi = {sizeof(rz_device_api), 0,        close,
                                  capabilities,          classify, counters};

} // namespace realizar::reference
