// Rows of a matrix in planes -> F16, for matmul_half.cl. A thread makes 8 elements.
#include "types/type.h"
#include "mma.h"

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
half_weights(const DecodeParams p, Weights w, Bytes y_bytes) {
    const uint i = get_global_id(0), part = i % 4, pieces = p.w.groups * 4;
    if (i >= pieces) return;
    for (uint n = get_group_id(1); n < p.rows; n += get_num_groups(1)) {
        const ulong g = (ulong)(p.first + n) * p.w.stride + i / 4;
        const float8 v = decode_eight(w, &p.w, g, part);
        AT(uint4, y_bytes, p.y_at)
        [(ulong)n * pieces + i] = (uint4)(half_pair(v.s0, v.s1), half_pair(v.s2, v.s3),
                                          half_pair(v.s4, v.s5), half_pair(v.s6, v.s7));
    }
}
