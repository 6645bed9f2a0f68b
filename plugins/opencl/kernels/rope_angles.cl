// Cosines and sines of all positions, shared by the ROPE nodes of all layers. Angles are in turns, so
// that taking off whole turns is exact at any position.
#include "common.h"

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
rope_angles(const AnglesParams p, Bytes positions_bytes, Bytes turns_bytes, Bytes factors_bytes,
            Bytes y_bytes) {
    const uint total = p.rows * p.pairs;
    for (uint i = get_global_id(0); i < total; i += get_global_size(0)) {
        const uint row = i / p.pairs, pair = i % p.pairs;
        const float position = (float)AT(int, positions_bytes, p.positions_at)[row];
        float2 turns = AT(float2, turns_bytes, p.turns_at)[pair];
        if (p.factors_at != kNone) {
            const float factor = AT(float, factors_bytes, p.factors_at)[pair];
            const float quotient = turns.x / factor;
            const float rest = fma(-quotient, factor, turns.x);
            turns = (float2)(quotient, (rest + turns.y) / factor);
        }
        const float product = position * turns.x;
        const float error = fma(position, turns.x, -product);
        const float turn = (product - rint(product)) + fma(position, turns.y, error);
        global float *y = AT(float, y_bytes, p.y_at) + (ulong)row * p.pairs * 2;
        y[pair] = p.magnitude * cospi(2.0f * turn);
        y[pair + p.pairs] = p.magnitude * sinpi(2.0f * turn);
    }
}
