// Rows rotated like those of a Q4_0 cache, or back. A thread takes a run.
#include "common.h"
#include "hadamard.h"

kernel __attribute__((reqd_work_group_size(64, 1, 1))) void
hadamard(const HadamardParams p, Bytes x_bytes, Bytes y_bytes) {
    for (uint i = get_global_id(0); i < p.runs; i += get_global_size(0)) {
        const uint first = i * RUN, row = first / p.inner, at = first % p.inner;
        global const float *x = AT(float, x_bytes, row_at(&p.x, p.n1, p.n2, row, 4)) + at;
        global float *y = AT(float, y_bytes, p.y_at) + first;
        float run[RUN];
#pragma unroll
        for (uint j = 0; j < RUN; ++j)
            run[j] = x[j];
        transform_run(run);
#pragma unroll
        for (uint j = 0; j < RUN; ++j)
            y[j] = run[j];
    }
}
