// ROPE with the angles from rope_angles.cl. A thread makes one element.
#include "common.h"
#include "rotate.h"

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
rope(const RopeParams p, Bytes x_bytes, Bytes angles_bytes, Bytes y_bytes) {
    for (uint i = get_global_id(0); i < p.total; i += get_global_size(0)) {
        const uint row = i / p.inner, token = row / p.heads;
        global const float *x = AT(float, x_bytes, row_at(&p.x, 1, p.heads, row, 4));
        global const float *angles =
            AT(float, angles_bytes, p.angles_at) + (ulong)token * p.pairs * 2;
        AT(float, y_bytes, p.y_at)[i] = rotated(x, angles, p.pairs, p.halves != 0, i % p.inner);
    }
}
