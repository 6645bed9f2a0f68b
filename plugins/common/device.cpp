#include "plugins/common/device.h"

namespace realizar::plugin {

rz_code list_capabilities(rz_capability *rows, uint32_t stride, uint32_t *count, rz_error *err) {
    const auto ops = contracts();
    for (uint32_t i = 0; rows && i < *count && i < ops.size(); ++i) {
        auto *row = reinterpret_cast<rz_capability *>(reinterpret_cast<std::byte *>(rows) +
                                                      size_t{stride} * i);
        const rz_code code = check_struct(row, sizeof(rz_capability), 0xffff, "rz_capability", err);
        if (code != RZ_OK) return code;
        rz_capability value = {};
        value.op = ops[i].op;
        value.version = 1;
        value.dtypes = ops[i].dtypes;
        fill_struct(row, value);
    }
    *count = static_cast<uint32_t>(ops.size());
    return RZ_OK;
}

rz_code classify_nodes(const rz_graph *graph, uint8_t *states, ExtraCheck extra, rz_error *err) {
    Region region;
    rz_code code = read_region(graph, region, err);
    for (uint32_t i = 0; code == RZ_OK && i < region.nodes.size(); ++i) {
        const rz_code verdict = check_node(region, i, extra, nullptr);
        if (verdict == RZ_INVALID_ARGUMENT) code = check_node(region, i, extra, err);
        states[i] = verdict == RZ_OK ? RZ_NODE_YES : RZ_NODE_NO;
    }
    return code;
}

rz_code report_counters(const Counters &counters, rz_counters *out, rz_error *err) {
    const rz_code code = check_struct(out, sizeof(rz_counters), 0xffff, "rz_counters", err);
    if (code != RZ_OK) return code;
    rz_counters value = {};
    value.submissions = counters.submissions;
    value.dispatches = counters.dispatches;
    value.barriers = counters.barriers;
    value.allocations = counters.allocations;
    value.bytes_written = counters.bytes_written;
    value.bytes_read = counters.bytes_read;
    value.memory_used = counters.memory_used;
    value.memory_peak = counters.memory_peak;
    fill_struct(out, value);
    return RZ_OK;
}

} // namespace realizar::plugin
