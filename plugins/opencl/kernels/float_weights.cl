// Rows of a matrix -> F32, for CLBlast. A thread makes 8 elements. -DTYPE=n: w of that plain type, else in
// planes.
#ifdef TYPE
#include "common.h"
#else
#include "types/type.h"
#endif

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
float_weights(const DecodeParams p, Weights w, Bytes y_bytes) {
    const uint at = get_global_id(0) * 8;
    if (at >= p.k) return;
    for (uint n = get_group_id(1); n < p.rows; n += get_num_groups(1)) {
        const ulong row = p.first + n;
        global float *y = AT(float, y_bytes, p.y_at) + (ulong)n * p.k + at;
#ifdef TYPE
        global const uchar *from = w + p.w.plane[0] + row * p.w.stride * plain_size(TYPE);
        for (uint i = 0; i < 8 && at + i < p.k; ++i)
            y[i] = load_plain(TYPE, from, at + i);
#else
        vstore8(decode_eight(w, &p.w, row * p.w.stride + at / 32, at / 8 % 4), 0, y);
#endif
    }
}
