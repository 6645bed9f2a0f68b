// KV_WRITE: rows into cells of a cache, rotated on the way (ROPE) if asked. A thread writes one element,
// or one block of Q8_0.
#include "common.h"
#include "rotate.h"

// F16 scale, then 32 signed bytes, nearest to the stored scale.
void write_q8_0(const KvWriteParams *p, global const float *x, global const float *angles,
                uint first, global ushort *y) {
    float most = 0.0f;
    for (uint i = 0; i < 32; ++i)
        most = fmax(most, fabs(element(p, x, angles, first + i)));
    const ushort d = float_to_half(most / 127.0f);
    const float scale = half_to_float(d), factor = scale > 0.0f ? 1.0f / scale : 0.0f;
    y[0] = d;
    for (uint i = 0; i < 32; i += 2) {
        const float2 v = (float2)(element(p, x, angles, first + i),
                                  element(p, x, angles, first + i + 1));
        y[1 + i / 2] = as_ushort(convert_char2_rte(clamp(v * factor, -127.0f, 127.0f)));
    }
}

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
kv_write(const KvWriteParams p, Bytes x_bytes, Bytes cells_bytes, Bytes angles_bytes,
         Bytes cache_bytes) {
    const uint piece = p.type == kQ8_0 ? 32 : 1, pieces = p.inner / piece;
    const uint total = p.tokens * p.heads * pieces;
    for (uint i = get_global_id(0); i < total; i += get_global_size(0)) {
        const uint row = i / pieces, at = i % pieces, head = row % p.heads, token = row / p.heads;
        const int cell = AT(int, cells_bytes, p.cells_at)[token];
        if (cell < 0 || (uint)cell >= p.capacity) continue;
        global const float *x = AT(float, x_bytes, row_at(&p.x, 1, p.heads, row, 4));
        global const float *angles =
            AT(float, angles_bytes, p.angles_at) + (ulong)token * p.pairs * 2;
        const ulong units = (ulong)cell * p.cell_stride + (ulong)head * p.head_stride;
        if (p.type == kF32)
            AT(float, cache_bytes, p.cache_at + units * 4)[at] = element(&p, x, angles, at);
        else if (p.type == kF16)
            AT(ushort, cache_bytes, p.cache_at + units * 2)
            [at] = float_to_half(element(&p, x, angles, at));
        else
            write_q8_0(&p, x, angles, at * 32,
                       AT(ushort, cache_bytes, p.cache_at + units * 2 + (ulong)at * 34));
    }
}
