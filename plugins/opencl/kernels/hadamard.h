// The rotation of rows in Q4_0 caches (KV_WRITE in backend.h): a run of RUN (32 or 64) elements under the
// Walsh-Hadamard transform, divided by the root of their number, which is its own inverse. -DRUN=n.
#define kRunFactor (RUN == 64 ? 0.125f : 0.1767766953f)

// The transform of `count` elements, a power of two, without the division.
void transform(private float *x, uint count) {
#pragma unroll
    for (uint half_run = 1; half_run < count; half_run *= 2)
#pragma unroll
        for (uint i = 0; i < count / 2; ++i) {
            const uint at = i / half_run * 2 * half_run + i % half_run;
            const float a = x[at], b = x[at + half_run];
            x[at] = a + b;
            x[at + half_run] = a - b;
        }
}

void transform_run(private float *run) {
    transform(run, RUN);
#pragma unroll
    for (uint i = 0; i < RUN; ++i)
        run[i] *= kRunFactor;
}
