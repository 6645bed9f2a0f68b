// Activations in 8 bits with a scale for each 32 elements, after a GLU if asked: what matrices in planes
// take. A thread makes four elements.
#include "common.h"
#include "activation.h"
#include "quantize.h"

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
quantize(const QuantizeParams p, Bytes x_bytes, Bytes b_bytes, Bytes y_bytes) {
    local float shared[256];
    const uint width = p.inner / 4, total = p.rows * width;
    for (uint first = get_group_id(0) * 256; first < total; first += get_num_groups(0) * 256) {
        const uint i = first + get_local_id(0), row = min(i, total - 1) / width, at = i % width;
        float4 v = (float4)(0.0f);
        if (i < total) {
            v = vload4(at, AT(float, x_bytes, row_at(&p.x, p.n1, p.n2, row, 4)));
            if (p.glu) {
                const float4 b = vload4(at, AT(float, b_bytes, row_at(&p.b, p.n1, p.n2, row, 4)));
                v = (float4)(activation(p.glu - 1, v.x), activation(p.glu - 1, v.y),
                             activation(p.glu - 1, v.z), activation(p.glu - 1, v.w)) *
                    b;
            }
        }
        quantize_eight(v, i < total, shared, AT(uint, y_bytes, p.q_at) + i,
                       AT(float2, y_bytes, p.s_at) + i / 8);
    }
}
