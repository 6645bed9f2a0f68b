// RMS_NORM and LAYER_NORM: a workgroup for each row. With -DQUANTIZE the result is in 8 bits, for the
// matrices that take it.
#include "common.h"
#include "reduce.h"
#ifdef QUANTIZE
#include "quantize.h"
#endif

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
norm(const NormParams p, Bytes x_bytes, Bytes weight_bytes, Bytes bias_bytes, Bytes y_bytes) {
    local float shared[256];
    const uint self = get_local_id(0);
    for (uint row = get_group_id(0); row < p.rows; row += get_num_groups(0)) {
        global const float *x = AT(float, x_bytes, row_at(&p.x, p.n1, p.n2, row, 4));
        float mean = 0.0f;
        if (p.layer) {
            float sum = 0.0f;
            for (uint i = self; i < p.inner; i += 256)
                sum += x[i];
            mean = reduce_sum(shared, sum) / p.inner;
        }
        float squares = 0.0f;
#ifdef QUANTIZE
#pragma unroll 4
        for (uint i = self; i < p.inner / 4; i += 256)
            squares += dot(vload4(i, x) - mean, vload4(i, x) - mean);
#else
        for (uint i = self; i < p.inner; i += 256)
            squares += (x[i] - mean) * (x[i] - mean);
#endif
        const float factor = 1.0f / sqrt(reduce_sum(shared, squares) / p.inner + p.epsilon);
#ifdef QUANTIZE
        // 8 threads make a group of 32 elements, 4 each.
        const uint total = p.inner / 4;
#pragma unroll 4
        for (uint first = 0; first < total; first += 256) {
            const uint i = first + self;
            float4 v = (float4)(0.0f);
            if (i < total) {
                v = (vload4(i, x) - mean) * factor;
                if (p.weight_at != kNone) v *= vload4(i, AT(float, weight_bytes, p.weight_at));
                if (p.bias_at != kNone) v += vload4(i, AT(float, bias_bytes, p.bias_at));
            }
            const ulong at = (ulong)row * total + i;
            quantize_eight(v, i < total, shared, AT(uint, y_bytes, p.q_at) + at,
                           AT(float2, y_bytes, p.s_at) + at / 8);
        }
#else
        global float *y = AT(float, y_bytes, p.y_at) + (ulong)row * p.inner;
        for (uint i = self; i < p.inner; i += 256) {
            float value = (x[i] - mean) * factor;
            if (p.weight_at != kNone) value *= AT(float, weight_bytes, p.weight_at)[i];
            if (p.bias_at != kNone) value += AT(float, bias_bytes, p.bias_at)[i];
            y[i] = value;
        }
#endif
    }
}
