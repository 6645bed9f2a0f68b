// SAMPLE: a workgroup for a row of up to kMost candidates. Each sum is made by one thread, so a draw
// gives the same token every time.
#version 460
#include "common.glsl"

const uint kThreads = 256, kMost = 1024;
layout(local_size_x = kThreads) in;
layout(push_constant) uniform Push { SampleParams p; };

shared float weights[kMost]; // exp(logit - best), then of the tempered logits
shared int tokens[kMost];
shared uint kept, first; // first: the lowest token whose sum passes, in the order of unsigned numbers
shared float total;

float logit_of(F32 row, uint i) { return min(row.v[i], 3.402823466e38); }

// How many of the falling row stay, by one thread.
uint count_kept(F32 draw) {
    uint count = 0;
    while (count < p.count && weights[count] >= 0.0)
        ++count;
    const float top_k = draw.v[1], top_p = draw.v[2];
    if (top_k > 0.0 && top_k < float(count)) count = uint(top_k);
    if (top_p < 1.0) {
        float sum = 0.0, part = 0.0;
        for (uint i = 0; i < count; ++i)
            sum += weights[i];
        for (uint i = 0; i < count; ++i) {
            part += weights[i];
            if (part >= top_p * sum) count = i + 1;
        }
    }
    while (count > 0 && weights[count - 1] < draw.v[3])
        --count;
    return count;
}

void main() {
    const uint i0 = gl_LocalInvocationID.x;
    for (uint row = gl_WorkGroupID.x; row < p.rows; row += gl_NumWorkGroups.x) {
        F32 logits = F32(p.logits + uint64_t(row) * p.logits_stride * 4);
        I32 ids = I32(p.tokens + uint64_t(row) * p.tokens_stride * 4);
        F32 draw = F32(p.draws + uint64_t(row) * p.draws_stride * 4);
        const float best = logit_of(logits, 0), temperature = draw.v[0];
        barrier();
        for (uint i = i0; i < p.count; i += kThreads) {
            const float x = logits.v[i];
            // Below 0: out of the draw.
            weights[i] = is_nan(x) || x == -kInf ? -1.0 : exp(min(x, 3.402823466e38) - best);
            tokens[i] = ids.v[i];
        }
        barrier();
        if (i0 == 0) kept = temperature > 0.0 ? count_kept(draw) : 0;
        barrier();
        const uint count = kept;
        for (uint i = i0; i < count; i += kThreads)
            weights[i] = exp((logit_of(logits, i) - best) / temperature);
        barrier();
        if (i0 == 0) {
            float sum = 0.0;
            for (uint i = 0; i < count; ++i)
                sum += weights[i];
            total = sum;
            first = 0xffffffffu;
        }
        barrier();
        const float target = draw.v[4] * total;
        for (uint i = i0; i < count; i += kThreads) {
            float below = 0.0;
            for (uint j = 0; j < count; ++j)
                if (tokens[j] < tokens[i]) below += weights[j];
            if (below + weights[i] > target) atomicMin(first, uint(tokens[i]) ^ 0x80000000u);
        }
        barrier();
        if (i0 == 0)
            I32(p.y).v[row] = first == 0xffffffffu ? tokens[0] : int(first ^ 0x80000000u);
    }
}
