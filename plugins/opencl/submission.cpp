#include "plugins/opencl/submission.h"

#include "plugins/common/submit.h"

#include <algorithm>

namespace realizar::opencl {

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
    out.symbols.assign(s.symbols, s.symbols + s.symbol_count);
    out.steps = std::max(s.steps, 1u);
    out.updates.clear();
    out.reads.clear();
    out.chains.clear();
    out.bytes.clear();
    out.result_bytes = 0;
    for (uint32_t i = 0; i < s.update_count; ++i) {
        const rz_update &in = element(s.updates, s.update_stride, i);
        if (!in.size) continue;
        out.updates.push_back({in.tensor, in.step, in.offset, in.size, out.bytes.size(), nullptr});
        const auto *bytes = static_cast<const std::byte *>(in.data);
        out.bytes.insert(out.bytes.end(), bytes, bytes + in.size);
    }
    for (uint32_t i = 0; i < s.read_count; ++i) {
        const rz_read &in = element(s.reads, s.read_stride, i);
        if (!in.size) continue;
        out.reads.push_back({in.tensor, in.step, in.offset, in.size, out.result_bytes, in.data});
        out.result_bytes += align_up(in.size, kCopyAlignment);
    }
    for (uint32_t i = 0; i < s.chain_count; ++i) {
        const rz_chain &in = element(s.chains, s.chain_stride, i);
        const Tensor &t = instance.program.region.tensors[in.from];
        const auto size = static_cast<uint64_t>(t.extent(t.dim0(s.symbols)));
        if (size) out.chains.push_back({in.from, in.to, size});
    }
    out.waits.assign(s.waits, s.waits + s.wait_count);
    out.signals.assign(s.signals, s.signals + s.signal_count);
    return RZ_OK;
}

} // namespace realizar::opencl
