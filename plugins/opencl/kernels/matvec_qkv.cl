// The matrices of Q, K and V of one token in one launch (single.h): bias, rotation (ROPE) and the write
// into caches of F16 follow on the products. Rows count through Q, K and V; the launch begins at row
// p.first of them, and p.n are its own. A pair of rows is what ROPE turns together. -DBIAS=n: whether
// there are biases. -DWIDTH, -DWIDTH_V, -DTURNED, -DHALVES: MatvecQkvParams of that name, where the program
// is built for them.
#include "buffers.h"
#include "common.h"

typedef struct {
    const MatvecQkvParams *p;
    Bytes y, bias[3], angles, k, v;
    int cell; // of this token
} Context;

#include "single.h"

#ifndef WIDTH
#define WIDTH c->p->width
#define WIDTH_V c->p->width_v
#define TURNED c->p->turned
#define HALVES c->p->halves
#endif

typedef struct {
    uint part;  // 0 to 2: Q, K, V
    uint begin; // of the part
    uint2 rows; // relative to that
    uint turn;  // index of the angle; TURNED or more: none
} Pair;

Pair find(const Context *c, uint pair) {
    const uint row = c->p->first + 2 * pair, end = c->p->rows_q + c->p->rows_k;
    Pair found;
    found.part = row >= end ? 2 : row >= c->p->rows_q ? 1 : 0;
    found.begin = row >= end ? end : row >= c->p->rows_q ? c->p->rows_q : 0;
    const uint at = row - found.begin;
    found.rows = (uint2)(at, at + 1);
    found.turn = TURNED;
    if (found.part == 2) return found;
    const uint i = at % WIDTH / 2;
    found.turn = i;
    if (HALVES && i < TURNED) found.rows = at / WIDTH * WIDTH + (uint2)(i, i + TURNED);
    return found;
}

uint2 rows_of(const Context *c, uint pair) {
    const Pair found = find(c, pair);
    return found.begin + found.rows - c->p->first;
}

// Cosine, sine, biases.
float4 ahead_of(const Context *c, uint pair) {
    const Pair found = find(c, pair);
    float4 result = (float4)(1.0f, 0.0f, 0.0f, 0.0f);
    if (found.turn < TURNED) {
        global const float *angles = AT(float, c->angles, c->p->angles_at);
        result.x = angles[found.turn];
        result.y = angles[found.turn + TURNED];
    }
#pragma unroll
    for (uint i = 0; i < 3; ++i)
        if (BIAS && found.part == i && c->p->bias_at[i] != kNone) {
            global const float *bias = AT(float, c->bias[i], c->p->bias_at[i]);
            result.z = bias[found.rows.x];
            result.w = bias[found.rows.y];
        }
    return result;
}

void take(const Context *c, uint pair, float2 products, float4 ahead) {
    const Pair found = find(c, pair);
    const float2 x = products + ahead.zw;
    const float2 y = (float2)(x.x * ahead.x - x.y * ahead.y, x.y * ahead.x + x.x * ahead.y);
    if (found.part == 0) {
        AT(float, c->y, c->p->y_at)[found.rows.x] = y.x;
        AT(float, c->y, c->p->y_at)[found.rows.y] = y.y;
        return;
    }
    if (c->cell < 0 || (uint)c->cell >= c->p->cells) return;
    const bool key = found.part == 1;
    const uint width = key ? WIDTH : WIDTH_V;
    const ulong first = (ulong)c->cell * (key ? c->p->k_cell : c->p->v_cell) +
                        found.rows.x / width * (key ? c->p->k_head : c->p->v_head);
    global ushort *cache = AT(ushort, key ? c->k : c->v, key ? c->p->k_at : c->p->v_at) + first;
    cache[found.rows.x % width] = float_to_half(y.x);
    cache[found.rows.y % width] = float_to_half(y.y);
}

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
matvec_qkv(const MatvecQkvParams p, Weights w, BUFFER_ARGUMENTS) {
    local SingleLocal shared;
    Context c;
    c.p = &p;
    c.y = OPERAND(2);
    c.bias[0] = OPERAND(3);
    c.bias[1] = OPERAND(4);
    c.bias[2] = OPERAND(5);
    c.angles = OPERAND(6);
    c.k = OPERAND(8);
    c.v = OPERAND(9);
    c.cell = AT(int, OPERAND(7), p.cells_at)[0];
    multiply_rows(&c, &p.x, w, OPERAND(0), OPERAND(1), p.n / 2, &shared);
}
