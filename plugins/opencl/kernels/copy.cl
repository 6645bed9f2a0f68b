// COPY between the plain types; equal types keep their bits.
#include "common.h"

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void copy(const CopyParams p, Bytes x_bytes,
                                                                  Bytes y_bytes) {
    for (uint i = get_global_id(0); i < p.total; i += get_global_size(0)) {
        const uint row = i / p.inner, at = i % p.inner;
        Bytes x = x_bytes + row_at(&p.x, p.n1, p.n2, row, plain_size(p.from));
        if (p.from == p.to && p.to == kF32)
            AT(uint, y_bytes, p.y_at)[i] = AT(uint, x, 0)[at];
        else if (p.from == p.to)
            AT(ushort, y_bytes, p.y_at)[i] = AT(ushort, x, 0)[at];
        else if (p.to == kF32)
            AT(float, y_bytes, p.y_at)[i] = load_plain(p.from, x, at);
        else if (p.to == kF16)
            AT(ushort, y_bytes, p.y_at)[i] = float_to_half(load_plain(p.from, x, at));
        else
            AT(ushort, y_bytes, p.y_at)[i] = float_to_bf16(load_plain(p.from, x, at));
    }
}
