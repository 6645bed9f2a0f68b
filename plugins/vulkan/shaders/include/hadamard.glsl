// The rotation of rows in Q4_0 caches: runs of kRun (32 or 64) elements under the Walsh-Hadamard transform,
// divided by the root of their number, which is its own inverse. A thread transforms `run`.
layout(constant_id = 0) const uint kRun = 32;
float run[64];

void transform_run() {
    for (uint half_run = 1; half_run < kRun; half_run *= 2)
        for (uint i = 0; i < kRun / 2; ++i) {
            const uint at = i / half_run * 2 * half_run + i % half_run;
            const float a = run[at], b = run[at + half_run];
            run[at] = a + b;
            run[at + half_run] = a - b;
        }
    const float factor = kRun == 64 ? 0.125 : 0.17677669529663687;
    for (uint i = 0; i < kRun; ++i)
        run[i] *= factor;
}
