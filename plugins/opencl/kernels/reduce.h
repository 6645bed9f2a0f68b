// Sums and maxima over the 256 threads of a workgroup through 256 floats of local memory. Barriers
// inside: all threads must call.
float reduce_sum(local float *shared, float x) {
    const uint i = get_local_id(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    shared[i] = x;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint n = 128; n > 0; n >>= 1) {
        if (i < n) shared[i] += shared[i + n];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    return shared[0];
}

float reduce_max(local float *shared, float x) {
    const uint i = get_local_id(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    shared[i] = x;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint n = 128; n > 0; n >>= 1) {
        if (i < n) shared[i] = fmax(shared[i], shared[i + n]);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    return shared[0];
}
