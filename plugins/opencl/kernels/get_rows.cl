// GET_ROWS from a table in planes (a thread makes eight elements) or, with -DTYPE=n, of a plain type.
#ifdef TYPE
#include "common.h"

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
get_rows(const GetRowsParams p, Weights table, Bytes ids_bytes, Bytes y_bytes) {
    const uint total = p.tokens * p.inner;
    for (uint i = get_global_id(0); i < total; i += get_global_size(0)) {
        const uint token = i / p.inner, at = i % p.inner;
        const int id = AT(int, ids_bytes, p.ids_at)[token];
        float value = 0.0f;
        if (id >= 0 && (uint)id < p.rows)
            value = load_plain(
                TYPE, table + p.table.plane[0] + (ulong)id * p.table.stride * plain_size(TYPE), at);
        AT(float, y_bytes, p.y_at)[i] = value;
    }
}
#else
#include "types/type.h"

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
get_rows(const GetRowsParams p, Weights table, Bytes ids_bytes, Bytes y_bytes) {
    const uint parts = p.inner / 8, total = p.tokens * parts;
    for (uint i = get_global_id(0); i < total; i += get_global_size(0)) {
        const uint token = i / parts, group = i % parts / 4, part = i % 4;
        const int id = AT(int, ids_bytes, p.ids_at)[token];
        global float *y =
            AT(float, y_bytes, p.y_at) + (ulong)token * p.inner + group * 32 + part * 4;
        uint2 words = (uint2)(0);
        float3 scale = (float3)(0.0f);
        if (id >= 0 && (uint)id < p.rows) {
            const ulong g = (ulong)id * p.table.stride + group;
            words = load_part(table, &p.table, g, part);
            scale = load_scale(table, &p.table, g);
        }
        vstore4(scale.x * convert_float4(as_char4(words.x)) - scale.z, 0, y);
        vstore4(scale.y * convert_float4(as_char4(words.y)) - scale.z, 0, y + 16);
    }
}
#endif
