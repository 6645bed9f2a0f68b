// ARGMAX and TOP_K by pieces of a row: a workgroup sorts kPiece elements and hands on the best p.kept of
// them, or just finds the best one. Best: largest, lowest index on a tie. The next level sorts what the
// pieces gave; the last one has a single piece and writes the result.
#include "common.h"
#include "order.h"

enum { kThreads = 256, kPiece = 2048 }; // kPiece of ops/select.cpp: 16 KiB, what every device has

typedef struct {
    uint orders[kPiece], places[kPiece];
} Piece;

bool before(uint order_a, uint a, uint order_b, uint b) {
    return order_a > order_b || (order_a == order_b && a < b);
}

void load_piece(const SelectPieceParams *p, Bytes x_bytes, Bytes from_bytes, local Piece *l,
                uint row, uint begin) {
    for (uint i = get_local_id(0); i < kPiece; i += kThreads) {
        const uint at = begin + i;
        uint order = 0, place = 0xffffffffu;
        if (at < p->inner && p->from_at == kNone) {
            const float x = AT(float, x_bytes, p->x_at)[(ulong)row * p->stride + at];
            order = max(order_of(x), p->least);
            place = at;
        } else if (at < p->inner) {
            const uint2 pair = AT(uint2, from_bytes, p->from_at)[(ulong)row * p->inner + at];
            order = pair.x;
            place = pair.y;
        }
        l->orders[i] = order;
        l->places[i] = place;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}

// Puts the better one of a and b at a where `down`.
void exchange(local Piece *l, uint a, uint b, bool down) {
    const uint order_a = l->orders[a], order_b = l->orders[b];
    const uint place_a = l->places[a], place_b = l->places[b];
    if (before(order_b, place_b, order_a, place_a) != down) return;
    l->orders[a] = order_b;
    l->orders[b] = order_a;
    l->places[a] = place_b;
    l->places[b] = place_a;
}

// Bitonic (Batcher 1968).
void sort_piece(local Piece *l) {
    for (uint run = 2; run <= kPiece; run <<= 1)
        for (uint step = run >> 1; step > 0; step >>= 1) {
            for (uint i = get_local_id(0); i < kPiece / 2; i += kThreads) {
                const uint a = (i & ~(step - 1)) * 2 + (i & (step - 1));
                exchange(l, a, a + step, (a & run) == 0);
            }
            barrier(CLK_LOCAL_MEM_FENCE);
        }
}

void find_best(local Piece *l) {
    for (uint n = kPiece / 2; n > 0; n >>= 1) {
        for (uint i = get_local_id(0); i < n; i += kThreads)
            exchange(l, i, i + n, true);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
select_piece(const SelectPieceParams p, Bytes x_bytes, Bytes from_bytes, Bytes to_bytes,
             Bytes values_bytes, Bytes indices_bytes) {
    local Piece shared;
    for (uint n = get_group_id(0); n < p.rows * p.pieces; n += get_num_groups(0)) {
        const uint row = n / p.pieces, piece = n % p.pieces;
        barrier(CLK_LOCAL_MEM_FENCE);
        load_piece(&p, x_bytes, from_bytes, &shared, row, piece * kPiece);
        if (p.kept == 1)
            find_best(&shared);
        else
            sort_piece(&shared);
        for (uint i = get_local_id(0); i < p.kept; i += kThreads) {
            const ulong at = (ulong)n * p.kept + i;
            const uint place = shared.places[i];
            if (p.to_at != kNone) {
                AT(uint2, to_bytes, p.to_at)[at] = (uint2)(shared.orders[i], place);
                continue;
            }
            AT(int, indices_bytes, p.indices_at)[at] = (int)place;
            if (p.values_at != kNone)
                AT(float, values_bytes, p.values_at)
                [at] = AT(float, x_bytes, p.x_at)[(ulong)row * p.stride + place];
        }
    }
}
