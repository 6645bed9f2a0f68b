// Joins the parts that attention.cl made of the keys. A workgroup for each token and head.
#include "common.h"

kernel __attribute__((reqd_work_group_size(64, 1, 1))) void
attention_combine(const CombineParams p, Bytes parts_bytes, Bytes sinks_bytes, Bytes y_bytes) {
    for (uint row = get_group_id(0); row < p.rows; row += get_num_groups(0)) {
        global const float *part = AT(float, parts_bytes, p.parts_at) + (ulong)row * (p.dv + 2);
        const ulong step = (ulong)p.rows * (p.dv + 2);
        float peak = -INFINITY, sum = 0.0f;
        for (uint s = 0; s < p.splits; ++s)
            peak = fmax(peak, part[s * step]);
        const bool none = peak == -INFINITY;
        if (p.sinks_at != kNone && !none) {
            const float sink = AT(float, sinks_bytes, p.sinks_at)[row % p.heads];
            peak = fmax(peak, sink);
            sum = exp(sink - peak);
        }
        for (uint s = 0; s < p.splits; ++s)
            if (part[s * step] != -INFINITY)
                sum += part[s * step + 1] * exp(part[s * step] - peak);
        for (uint i = get_local_id(0); i < p.dv; i += 64) {
            float value = 0.0f;
            for (uint s = 0; s < p.splits; ++s)
                if (part[s * step] != -INFINITY)
                    value += part[s * step + 2 + i] * exp(part[s * step] - peak);
            AT(float, y_bytes, p.y_at)[(ulong)row * p.dv + i] = none ? 0.0f : value / sum;
        }
    }
}
