// Vectors in 8 bits with a scale for each 32 elements (QuantizeParams). Eight neighbouring threads have
// a group, four elements each. All 256 threads of the workgroup call, `exists` or not.
#include "dot.h"
#include "lanes.h"

// Over eight neighbours: the largest x and the sum of y.
float2 join_eight(float x, float y, local float *shared) {
#ifdef USE_PTX
    for (int n = 1; n < 8; n *= 2) {
        x = fmax(x, from_lane(x, n));
        y += from_lane(y, n);
    }
    return (float2)(x, y);
#else
    const uint self = get_local_id(0), first = self / 8 * 8;
    float most = 0.0f, sum = 0.0f;
    barrier(CLK_LOCAL_MEM_FENCE);
    shared[self] = x;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint i = 0; i < 8; ++i)
        most = fmax(most, shared[first + i]);
    barrier(CLK_LOCAL_MEM_FENCE);
    shared[self] = y;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint i = 0; i < 8; ++i)
        sum += shared[first + i];
    return (float2)(most, sum);
#endif
}

void quantize_eight(float4 v, bool exists, local float *shared, global uint *q, global float2 *s) {
    const float4 size = fabs(v);
    const float most = join_eight(fmax(fmax(size.x, size.y), fmax(size.z, size.w)), 0.0f, shared).x;
    const uint word = pack_four(v * (most > 0.0f ? 127.0f / most : 0.0f));
    const float sum = join_eight(0.0f, (float)dot4(word, 0x01010101u, 0), shared).y;
    if (!exists) return;
    *q = word;
    if (get_local_id(0) % 8 == 0) *s = (float2)(most / 127.0f, most / 127.0f * sum);
}
