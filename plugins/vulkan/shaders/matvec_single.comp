// MATMUL of one vector with a matrix in planes, the hot loop of decoding. A workgroup first makes its
// own copy of the vector in 8 bits in shared memory (normalised if asked): that costs less than
// another dispatch and its barrier. Then 32 threads take two rows of w at a time.
#version 460
#include "activation.glsl"
#include "common.glsl"
#include "dot.glsl"
#include "reduce.glsl"
#include "types/type.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 0) const uint kGroups = 1; // of 32 elements in the vector
layout(constant_id = 1) const bool kNorm = false;
layout(constant_id = 2) const uint kGlu = 0; // 1 + kind of RZ_UNARY_*; 0: none
layout(push_constant) uniform Push { MatvecSingleParams p; };

const uint kLanes = 32, kTeams = 8; // a team of kLanes threads works on two rows
const uint kOutputs = kGlu != 0 ? kTeams : 2 * kTeams;
const uint kBatch = 2; // groups in flight for each thread and row

shared uvec4 x_low[kGroups], x_high[kGroups];
shared vec2 x_scale[kGroups]; // scale, scale * sum
shared vec2 partial[256];

uint pack(vec4 x, float factor, inout int sum) {
    const ivec4 q = ivec4(clamp(roundEven(x * factor), -127.0, 127.0));
    sum += q.x + q.y + q.z + q.w;
    return (uint(q.x) & 255u) | (uint(q.y) & 255u) << 8 | (uint(q.z) & 255u) << 16 | uint(q.w) << 24;
}

void prepare() {
    const uint self = gl_LocalInvocationID.x;
    F32x4 x = F32x4(p.x), weight = F32x4(p.norm);
    float factor = 1.0;
    if (kNorm) {
        float squares = 0.0;
        for (uint i = self; i < kGroups * 8; i += 256)
            squares += dot(x.v[i], x.v[i]);
        factor = 1.0 / sqrt(reduce_sum(squares) / float(kGroups * 32) + p.epsilon);
    }
    for (uint g = self; g < kGroups; g += 256) {
        vec4 v[8], peak = vec4(0.0);
        [[unroll]] for (uint i = 0; i < 8; ++i) {
            v[i] = x.v[g * 8 + i] * factor;
            if (kNorm && p.norm != 0) v[i] *= weight.v[g * 8 + i];
            peak = max(peak, abs(v[i]));
        }
        const float most = max(max(peak.x, peak.y), max(peak.z, peak.w));
        const float inverse = most > 0.0 ? 127.0 / most : 0.0;
        int sum = 0;
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            x_low[g][i] = pack(v[i], inverse, sum);
            x_high[g][i] = pack(v[i + 4], inverse, sum);
        }
        x_scale[g] = most / 127.0 * vec2(1.0, float(sum));
    }
    barrier();
}

float product(uvec4 low, uvec4 high, GroupScale scale, uint g) {
    const uvec4 xl = x_low[g], xh = x_high[g];
    const int dl = dot4(low.x, xl.x) + dot4(low.y, xl.y) + dot4(low.z, xl.z) + dot4(low.w, xl.w);
    const int dh =
        dot4(high.x, xh.x) + dot4(high.y, xh.y) + dot4(high.z, xh.z) + dot4(high.w, xh.w);
    const vec2 s = x_scale[g];
    return s.x * (scale.low * float(dl) + scale.high * float(dh)) - scale.minimum * s.y;
}

// This thread's share of two rows. Loads come before their uses, clamped instead of skipped, so that
// all of a batch are under way together.
vec2 two_rows(uvec2 rows, uint lane) {
    vec2 sums = vec2(0.0);
    const uvec2 begin = rows * p.w.stride;
    for (uint first = lane; first < kGroups; first += kLanes * kBatch) {
        uvec4 low[2 * kBatch], high[2 * kBatch];
        GroupScale scale[2 * kBatch];
        [[unroll]] for (uint b = 0; b < kBatch; ++b) {
            const uint g = min(first + b * kLanes, kGroups - 1);
            [[unroll]] for (uint r = 0; r < 2; ++r) {
                load_quants(p.w, begin[r] + g, low[2 * b + r], high[2 * b + r]);
                scale[2 * b + r] = load_scale(p.w, begin[r] + g);
            }
        }
        [[unroll]] for (uint b = 0; b < kBatch; ++b) {
            const uint g = first + b * kLanes;
            if (g >= kGroups) break;
            [[unroll]] for (uint r = 0; r < 2; ++r)
                sums[r] += product(low[2 * b + r], high[2 * b + r], scale[2 * b + r], g);
        }
    }
    return sums;
}

void main() {
    const uint self = gl_LocalInvocationID.x, lane = self % kLanes, team = self / kLanes;
    prepare();
    for (uint first = gl_WorkGroupID.x * kOutputs; first < p.n;
         first += gl_NumWorkGroups.x * kOutputs) {
        const uint row = first + team, last = p.n - 1;
        const uvec2 rows = kGlu != 0 ? uvec2(min(row, last), p.n + min(row, last))
                                     : uvec2(min(row, last), min(row + kTeams, last));
        partial[self] = two_rows(rows, lane);
        barrier();
        for (uint n = kLanes / 2; n > 0; n >>= 1) {
            if (lane < n) partial[self] += partial[self + n];
            barrier();
        }
        const vec2 sums = partial[team * kLanes];
        if (kGlu != 0) {
            if (lane == 0 && row < p.n) F32(p.y).v[row] = activation(kGlu - 1, sums.x) * sums.y;
        } else if (lane < 2 && row + lane * kTeams < p.n) {
            const uint at = row + lane * kTeams;
            F32(p.y).v[at] = sums[lane] + (p.add != 0 ? F32(p.add).v[at] : 0.0);
        }
        barrier();
    }
}
