// Rows of a matrix in planes -> F16, for matmul_half.cl. A thread makes 8 elements.
#include "types/type.h"
#include "mma.h"

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
half_weights(const HalfWeightsParams p, Weights w, Bytes y_bytes) {
    const uint i = get_global_id(0), part = i % 4, pieces = p.w.groups * 4;
    if (i >= pieces) return;
    for (uint n = get_group_id(1); n < p.rows; n += get_num_groups(1)) {
        const ulong g = (ulong)n * p.w.stride + i / 4;
        const Raw raw = load_raw(w, &p.w, g);
        uint4 low, high;
        quants_of(&raw, &low, &high);
        const float3 scale = scale_of(&raw, (uint)g);
        const uint4 half_group = part < 2 ? low : high;
        const uint2 words = part % 2 == 0 ? half_group.xy : half_group.zw;
        const float factor = part < 2 ? scale.x : scale.y;
        const float4 a = factor * convert_float4(as_char4(words.x)) - scale.z;
        const float4 b = factor * convert_float4(as_char4(words.y)) - scale.z;
        AT(uint4, y_bytes, p.y_at)
        [(ulong)n * pieces + i] = (uint4)(half_pair(a.x, a.y), half_pair(a.z, a.w),
                                          half_pair(b.x, b.y), half_pair(b.z, b.w));
    }
}
