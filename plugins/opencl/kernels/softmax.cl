// SOFTMAX: a workgroup for each row.
#include "common.h"
#include "reduce.h"

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void softmax(const SoftmaxParams p,
                                                                     Bytes x_bytes, Bytes y_bytes) {
    local float shared[256];
    const uint self = get_local_id(0);
    for (uint row = get_group_id(0); row < p.rows; row += get_num_groups(0)) {
        global const float *x = AT(float, x_bytes, row_at(&p.x, p.n1, p.n2, row, 4));
        global float *y = AT(float, y_bytes, p.y_at) + (ulong)row * p.inner;
        float top = -INFINITY;
        for (uint i = self; i < p.inner; i += 256)
            top = fmax(top, p.scale * x[i]);
        top = reduce_max(shared, top);
        float sum = 0.0f;
        if (top != -INFINITY)
            for (uint i = self; i < p.inner; i += 256) {
                const float weight = exp(p.scale * x[i] - top);
                y[i] = weight;
                sum += weight;
            }
        sum = reduce_sum(shared, sum);
        const float factor = sum > 0.0f || is_nan(sum) ? 1.0f / sum : 0.0f;
        for (uint i = self; i < p.inner; i += 256)
            y[i] = top == -INFINITY ? 0.0f : y[i] * factor;
    }
}
