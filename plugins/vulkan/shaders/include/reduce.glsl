// Sums and maxima over the 256 threads of a workgroup. Barriers inside: all threads must call.
shared float reduce_shared[256];

float reduce_sum(float x) {
    const uint i = gl_LocalInvocationID.x;
    barrier();
    reduce_shared[i] = x;
    barrier();
    for (uint n = 128; n > 0; n >>= 1) {
        if (i < n) reduce_shared[i] += reduce_shared[i + n];
        barrier();
    }
    return reduce_shared[0];
}

float reduce_max(float x) {
    const uint i = gl_LocalInvocationID.x;
    barrier();
    reduce_shared[i] = x;
    barrier();
    for (uint n = 128; n > 0; n >>= 1) {
        if (i < n) reduce_shared[i] = max(reduce_shared[i], reduce_shared[i + n]);
        barrier();
    }
    return reduce_shared[0];
}
