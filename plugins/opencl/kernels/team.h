// Sums over the 32 threads that share a row of a matrix; workgroups of 128, `shared` as many floats.
// Barriers inside: all threads must call.
#include "lanes.h"
float team_sum(local float *shared, float x) {
#ifdef USE_PTX
    for (int n = 16; n > 0; n >>= 1)
        x += from_lane(x, n);
    return x;
#else
    const uint self = get_local_id(0), lane = self % 32;
    barrier(CLK_LOCAL_MEM_FENCE);
    shared[self] = x;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint n = 16; n > 0; n >>= 1) {
        if (lane < n) shared[self] += shared[self + n];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    return shared[self - lane];
#endif
}
