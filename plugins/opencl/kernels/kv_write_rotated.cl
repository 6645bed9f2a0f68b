// KV_WRITE into a Q4_0 cache: rows after ROPE, if asked, and the rotation of such caches. A thread writes a
// run.
#include "common.h"
#include "hadamard.h"
#include "rotate.h"

// F16 scale, the element of largest magnitude / -8, then nibbles: elements i and i + 16 in a byte.
void write_q4_0(private const float *x, global ushort *y) {
    float extreme = 0.0f;
#pragma unroll
    for (uint i = 0; i < 32; ++i)
        if (fabs(x[i]) > fabs(extreme)) extreme = x[i];
    const ushort d = float_to_half(clamp(extreme / -8.0f, -65504.0f, 65504.0f));
    const float scale = half_to_float(d), inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
    y[0] = d;
#pragma unroll
    for (uint i = 0; i < 8; ++i) {
        uint bits = 0;
#pragma unroll
        for (uint j = 0; j < 4; ++j) { // elements 2i and 2i + 1, then those 16 behind
            const float value = x[2 * i + j % 2 + j / 2 * 16] * inverse;
            // NaN too is out of range, before the conversion.
            const uint level = value > -8.0f ? (uint)(rint(fmin(value, 7.0f)) + 8.0f) : 0;
            bits |= level << (8 * (j % 2) + 4 * (j / 2));
        }
        y[1 + i] = (ushort)bits;
    }
}

kernel __attribute__((reqd_work_group_size(64, 1, 1))) void
kv_write_rotated(const KvWriteParams p, Bytes x_bytes, Bytes cells_bytes, Bytes angles_bytes,
                 Bytes cache_bytes) {
    const uint runs = p.inner / RUN, total = p.tokens * p.heads * runs;
    for (uint i = get_global_id(0); i < total; i += get_global_size(0)) {
        const uint row = i / runs, first = i % runs * RUN;
        const uint head = row % p.heads, token = row / p.heads;
        const int cell = AT(int, cells_bytes, p.cells_at)[token];
        if (cell < 0 || (uint)cell >= p.capacity) continue;
        global const float *x = AT(float, x_bytes, row_at(&p.x, 1, p.heads, row, 4));
        global const float *angles =
            AT(float, angles_bytes, p.angles_at) + (ulong)token * p.pairs * 2;
        float run[RUN];
#pragma unroll
        for (uint j = 0; j < RUN; ++j)
            run[j] = element(&p, x, angles, first + j);
        transform_run(run);
        const ulong units = (ulong)cell * p.cell_stride + (ulong)head * p.head_stride;
#pragma unroll
        for (uint at = 0; at < RUN; at += 32)
            write_q4_0(run + at,
                       AT(ushort, cache_bytes, p.cache_at + units * 2 + (first + at) / 32 * 18));
    }
}
