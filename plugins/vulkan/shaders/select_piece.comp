// ARGMAX and TOP_K by pieces of a row: a workgroup sorts kPiece elements and hands on the best `kept` of
// them, or just finds the best one. Best: largest, lowest index on a tie. The next level sorts what the
// pieces gave; the last one has a single piece and writes the result.
#version 460
#include "common.glsl"
#include "order.glsl"

const uint kThreads = 256, kPiece = 2048; // 16 KiB of shared memory, what every device has
layout(local_size_x = kThreads) in;
layout(push_constant) uniform Push { SelectPieceParams p; };

shared uint orders[kPiece];
shared uint places[kPiece];

bool before(uint order_a, uint a, uint order_b, uint b) {
    return order_a > order_b || (order_a == order_b && a < b);
}

void load_piece(uint row, uint begin) {
    for (uint i = gl_LocalInvocationID.x; i < kPiece; i += kThreads) {
        const uint at = begin + i;
        uint order = 0, place = 0xffffffffu;
        if (at < p.inner && p.from == 0) {
            order = max(order_of(F32(p.x + uint64_t(row) * p.stride * 4).v[at]), p.least);
            place = at;
        } else if (at < p.inner) {
            const uvec2 pair = U32x2(p.from + (uint64_t(row) * p.inner + at) * 8).v[0];
            order = pair.x;
            place = pair.y;
        }
        orders[i] = order;
        places[i] = place;
    }
    barrier();
}

// Puts the better one of a and b at a where `down`.
void exchange(uint a, uint b, bool down) {
    const uint order_a = orders[a], order_b = orders[b], place_a = places[a], place_b = places[b];
    if (before(order_b, place_b, order_a, place_a) != down) return;
    orders[a] = order_b;
    orders[b] = order_a;
    places[a] = place_b;
    places[b] = place_a;
}

// Bitonic (Batcher 1968).
void sort_piece() {
    for (uint run = 2; run <= kPiece; run <<= 1)
        for (uint step = run >> 1; step > 0; step >>= 1) {
            for (uint i = gl_LocalInvocationID.x; i < kPiece / 2; i += kThreads) {
                const uint a = (i & ~(step - 1)) * 2 + (i & (step - 1));
                exchange(a, a + step, (a & run) == 0);
            }
            barrier();
        }
}

void find_best() {
    for (uint n = kPiece / 2; n > 0; n >>= 1) {
        for (uint i = gl_LocalInvocationID.x; i < n; i += kThreads)
            exchange(i, i + n, true);
        barrier();
    }
}

void main() {
    for (uint n = gl_WorkGroupID.x; n < p.rows * p.pieces; n += gl_NumWorkGroups.x) {
        const uint row = n / p.pieces, piece = n % p.pieces;
        barrier();
        load_piece(row, piece * kPiece);
        if (p.kept == 1)
            find_best();
        else
            sort_piece();
        for (uint i = gl_LocalInvocationID.x; i < p.kept; i += kThreads) {
            const uint at = n * p.kept + i;
            if (p.to != 0) {
                U32x2(p.to + uint64_t(at) * 8).v[0] = uvec2(orders[i], places[i]);
                continue;
            }
            I32(p.indices).v[at] = int(places[i]);
            if (p.values != 0)
                F32(p.values).v[at] = F32(p.x + uint64_t(row) * p.stride * 4).v[places[i]];
        }
    }
}
