// SSM_CONV: a thread for each channel, which takes the rows in their order.
#version 460
#include "common.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { SsmConvParams p; };

float step_of(uint t, uint sequence, uint channel) {
    const bool begins = I32(p.positions).v[t] == 0;
    const float x = F32(p.x + uint64_t(t) * p.x_stride * 4).v[channel];
    F32 weight = F32(p.weight + uint64_t(channel) * p.w_stride * 4);
    const uint64_t tap = uint64_t(p.tap_stride) * 4;
    uint64_t state = p.state + (uint64_t(sequence) * p.state_stride + channel) * 4;
    float sum = p.bias != 0 ? F32(p.bias).v[channel] : 0.0;
    for (uint i = 0; i + 1 < p.taps; ++i, state += tap) {
        const float old = begins ? 0.0 : F32(state).v[0];
        sum += weight.v[i] * old;
        if (i > 0) F32(state - tap).v[0] = old;
    }
    F32(state - tap).v[0] = x;
    return sum + weight.v[p.taps - 1] * x;
}

void main() {
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint channel = gl_GlobalInvocationID.x; channel < p.channels; channel += step)
        for (uint t = 0; t < p.tokens; ++t) {
            const int sequence = I32(p.sequences).v[t];
            const bool known = sequence >= 0 && uint(sequence) < p.states;
            F32(p.y + uint64_t(t) * p.channels * 4).v[channel] =
                known ? step_of(t, uint(sequence), channel) : 0.0;
        }
}
