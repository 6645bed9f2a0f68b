// Sums and maxima over the 256 threads of a workgroup through 256 floats of local memory. Barriers
// inside: all threads must call.
#include "lanes.h"
#ifdef USE_PTX
// By warps first: two barriers instead of ten.
float reduce_256(local float *shared, float x, bool maximum) {
    for (int n = 16; n > 0; n >>= 1)
        x = maximum ? fmax(x, from_lane(x, n)) : x + from_lane(x, n);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (get_local_id(0) % 32 == 0) shared[get_local_id(0) / 32] = x;
    barrier(CLK_LOCAL_MEM_FENCE);
    float result = shared[0];
    for (uint i = 1; i < 8; ++i)
        result = maximum ? fmax(result, shared[i]) : result + shared[i];
    return result;
}
#else
float reduce_256(local float *shared, float x, bool maximum) {
    const uint i = get_local_id(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    shared[i] = x;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint n = 128; n > 0; n >>= 1) {
        if (i < n) shared[i] = maximum ? fmax(shared[i], shared[i + n]) : shared[i] + shared[i + n];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    return shared[0];
}
#endif

float reduce_sum(local float *shared, float x) { return reduce_256(shared, x, false); }
float reduce_max(local float *shared, float x) { return reduce_256(shared, x, true); }
