#include "plugins/vulkan/submission.h"

#include "plugins/common/submit.h"

#include <algorithm>

namespace realizar::vulkan {

rz_code read_submit(const rz_submit &s, Submission &out, rz_error *err) {
    rz_code code = plugin::check_submit_struct(s, err);
    if (code != RZ_OK) return code;
    const rz_instance &instance = *s.instance;
    code = plugin::check_submit(s,
                                {instance.program.region, instance.program.tensor_count,
                                 [&](uint32_t i) { return instance.is_bound(i); },
                                 [](const rz_timeline *timeline) { return timeline->value; },
                                 [&](uint32_t i) { return instance.is_external(i); }},
                                err);
    if (code != RZ_OK) return code;
    out.instance = s.instance;
    out.steps = std::max(s.steps, 1u);
    out.chains.clear();
    for (uint32_t i = 0; i < s.chain_count; ++i) {
        const rz_chain &in = element(s.chains, s.chain_stride, i);
        out.chains.push_back({in.from, in.to});
    }
    out.symbols.assign(s.symbols, s.symbols + s.symbol_count);
    out.updates.clear();
    out.reads.clear();
    out.bytes.clear();
    for (uint32_t i = 0; i < s.update_count; ++i) {
        const rz_update &in = element(s.updates, s.update_stride, i);
        if (!in.size) continue;
        out.updates.push_back({in.tensor, in.step, in.offset, in.size, out.bytes.size(), nullptr});
        const auto *bytes = static_cast<const std::byte *>(in.data);
        out.bytes.insert(out.bytes.end(), bytes, bytes + in.size);
    }
    for (uint32_t i = 0; i < s.read_count; ++i) {
        const rz_read &in = element(s.reads, s.read_stride, i);
        if (in.size) out.reads.push_back({in.tensor, in.step, in.offset, in.size, 0, in.data});
    }
    out.waits.assign(s.waits, s.waits + s.wait_count);
    out.signals.assign(s.signals, s.signals + s.signal_count);
    return RZ_OK;
}

} // namespace realizar::vulkan
