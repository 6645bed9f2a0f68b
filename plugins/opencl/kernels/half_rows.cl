// x -> F16 with a power of two for each row, so that no element is too large: what matmul_mma.cl takes.
// A workgroup for each row.
#include "common.h"
#include "reduce.h"

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
half_rows(const HalfRowsParams p, Bytes x_bytes, Bytes y_bytes) {
    local float shared[256];
    const uint self = get_local_id(0);
    for (uint row = get_group_id(0); row < p.rows; row += get_num_groups(0)) {
        global const float *x = AT(float, x_bytes, row_at(&p.x, p.n1, p.n2, row, 4));
        float most = 0.0f;
        for (uint i = self; i < p.inner; i += 256)
            most = fmax(most, fabs(x[i]));
        most = reduce_max(shared, most);
        // The largest element becomes 2^10 to 2^11. Infinities and NaN stay what they are.
        const int exponent = most > 0.0f && most < INFINITY ? clamp(ilogb(most), -100, 100) : 10;
        const float factor = ldexp(1.0f, 10 - exponent);
        for (uint i = self; i < p.inner; i += 256)
            AT(ushort, y_bytes, p.y_at)[(ulong)row * p.inner + i] = float_to_half(x[i] * factor);
        if (self == 0) AT(float, y_bytes, p.scales_at)[row] = ldexp(1.0f, exponent - 10);
    }
}
