// SAMPLE: a workgroup for a row of up to kMost candidates. Each sum is made by one thread, so a draw
// gives the same token every time.
#include "common.h"

enum { kThreads = 256, kMost = 1024 };
#define kLargest 3.402823466e38f

typedef struct {
    float weights[kMost]; // exp(logit - best), then of the tempered logits
    int tokens[kMost];
    uint kept, first; // first: the lowest token whose sum passes, in the order of unsigned numbers
    float total;
} Draw;

// How many of the falling row stay, by one thread.
uint count_kept(const SampleParams *p, global const float *draw, local Draw *l) {
    uint count = 0;
    while (count < p->count && l->weights[count] >= 0.0f)
        ++count;
    const float top_k = draw[1], top_p = draw[2];
    if (top_k > 0.0f && top_k < (float)count) count = (uint)top_k;
    if (top_p < 1.0f) {
        float sum = 0.0f, part = 0.0f;
        for (uint i = 0; i < count; ++i)
            sum += l->weights[i];
        for (uint i = 0; i < count; ++i) {
            part += l->weights[i];
            if (part >= top_p * sum) count = i + 1;
        }
    }
    while (count > 0 && l->weights[count - 1] < draw[3])
        --count;
    return count;
}

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
sample(const SampleParams p, Bytes logits_bytes, Bytes tokens_bytes, Bytes draws_bytes,
       Bytes y_bytes) {
    local Draw shared;
    const uint self = get_local_id(0);
    for (uint row = get_group_id(0); row < p.rows; row += get_num_groups(0)) {
        global const float *logits =
            AT(float, logits_bytes, p.logits_at) + (ulong)row * p.logits_stride;
        global const int *ids = AT(int, tokens_bytes, p.tokens_at) + (ulong)row * p.tokens_stride;
        global const float *draw =
            AT(float, draws_bytes, p.draws_at) + (ulong)row * p.draws_stride;
        const float best = fmin(logits[0], kLargest), temperature = draw[0];
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint i = self; i < p.count; i += kThreads) {
            const float x = logits[i];
            // Below 0: out of the draw.
            shared.weights[i] =
                is_nan(x) || x == -INFINITY ? -1.0f : exp(fmin(x, kLargest) - best);
            shared.tokens[i] = ids[i];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        if (self == 0) shared.kept = temperature > 0.0f ? count_kept(&p, draw, &shared) : 0;
        barrier(CLK_LOCAL_MEM_FENCE);
        const uint count = shared.kept;
        for (uint i = self; i < count; i += kThreads)
            shared.weights[i] = exp((fmin(logits[i], kLargest) - best) / temperature);
        barrier(CLK_LOCAL_MEM_FENCE);
        if (self == 0) {
            float sum = 0.0f;
            for (uint i = 0; i < count; ++i)
                sum += shared.weights[i];
            shared.total = sum;
            shared.first = 0xffffffffu;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        const float target = draw[4] * shared.total;
        for (uint i = self; i < count; i += kThreads) {
            float below = 0.0f;
            for (uint j = 0; j < count; ++j)
                if (shared.tokens[j] < shared.tokens[i]) below += shared.weights[j];
            if (below + shared.weights[i] > target)
                atomic_min(&shared.first, (uint)shared.tokens[i] ^ 0x80000000u);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        if (self == 0)
            AT(int, y_bytes, p.y_at)
            [row] = shared.first == 0xffffffffu ? shared.tokens[0]
                                                : (int)(shared.first ^ 0x80000000u);
    }
}
