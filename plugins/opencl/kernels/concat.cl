// CONCAT: rows of a and b side by side. A stride of 0 repeats b.
#include "common.h"

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
concat(const ConcatParams p, Bytes a_bytes, Bytes b_bytes, Bytes y_bytes) {
    const uint inner = p.inner_a + p.inner_b;
    for (uint i = get_global_id(0); i < p.total; i += get_global_size(0)) {
        const uint row = i / inner, at = i % inner;
        const uint value =
            at < p.inner_a
                ? AT(uint, a_bytes, row_at(&p.a, p.n1, p.n2, row, 4))[at]
                : AT(uint, b_bytes, row_at(&p.b, p.n1, p.n2, row, 4))[at - p.inner_a];
        AT(uint, y_bytes, p.y_at)[i] = value;
    }
}
