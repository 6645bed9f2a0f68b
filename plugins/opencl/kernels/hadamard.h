// The rotation of rows in Q4_0 caches (KV_WRITE in backend.h): a run of RUN (32 or 64) elements under the
// Walsh-Hadamard transform, divided by the root of their number, which is its own inverse. -DRUN=n.
void transform_run(private float *run) {
#pragma unroll
    for (uint half_run = 1; half_run < RUN; half_run *= 2)
#pragma unroll
        for (uint i = 0; i < RUN / 2; ++i) {
            const uint at = i / half_run * 2 * half_run + i % half_run;
            const float a = run[at], b = run[at + half_run];
            run[at] = a + b;
            run[at + half_run] = a - b;
        }
    const float factor = RUN == 64 ? 0.125f : 0.1767766953f;
#pragma unroll
    for (uint i = 0; i < RUN; ++i)
        run[i] *= factor;
}
