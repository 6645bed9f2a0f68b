#include "plugins/common/device.h"

namespace realizar::plugin {

rz_code list_capabilities(const Coverage &coverage, rz_capability *rows, uint32_t stride,
                          uint32_t *count, rz_error *err) {
    uint32_t found = 0;
    for (const Contract &op : contracts()) {
        const uint64_t types = coverage.types(op);
        if (types == 0) continue;
        const uint32_t index = found++;
        if (!rows || index >= *count) continue;
        auto *row = reinterpret_cast<rz_capability *>(reinterpret_cast<std::byte *>(rows) +
                                                      size_t{stride} * index);
        const rz_code code = check_struct(row, sizeof(rz_capability), 0xffff, "rz_capability", err);
        if (code != RZ_OK) return code;
        rz_capability value = {};
        value.op = op.op;
        value.version = 1;
        value.dtypes = types;
        fill_struct(row, value);
    }
    *count = found;
    return RZ_OK;
}

rz_code classify_nodes(const Coverage &coverage, const rz_graph *graph, uint8_t *states,
                       rz_error *err) {
    Region region;
    rz_code code = read_region(graph, region, err);
    for (uint32_t i = 0; code == RZ_OK && i < region.nodes.size(); ++i) {
        const rz_code verdict = check_node(region, i, coverage, nullptr);
        if (verdict == RZ_INVALID_ARGUMENT) code = check_node(region, i, coverage, err);
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
