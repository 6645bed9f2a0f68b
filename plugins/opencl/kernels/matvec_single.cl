// MATMUL of one vector with matrices in planes that lie one behind the other (single.h), with addends.
// -DGLU=n: 1 + kind of RZ_UNARY_*; y = activation(first row) * second row, the second ones from the n rows
// behind; 0: none. -DSEGMENTS=n: 1 to 3 results.
#include "buffers.h"
#include "common.h"
#include "activation.h"

typedef struct {
    const MatvecSingleParams *p;
    Bytes y[SEGMENTS], add[SEGMENTS];
} Context;

#include "single.h"

uint2 rows_of(const Context *c, uint pair) {
    if (GLU != 0) return (uint2)(pair, pair + c->p->n);
    return min((uint2)(2 * pair, 2 * pair + 1), (uint2)(c->p->n - 1));
}
uint pairs_of(const Context *c) { return GLU != 0 ? c->p->n : (c->p->n + 1) / 2; }

// Which result row `row` belongs to.
uint segment_of(const Context *c, uint row) {
    uint segment = 0;
#pragma unroll
    for (uint i = 0; i + 1 < SEGMENTS; ++i)
        segment += row >= c->p->segment[i].end ? 1u : 0u;
    return segment;
}
// Where row `row` lies in its result.
uint place_of(const Context *c, uint row) {
    uint begin = 0;
#pragma unroll
    for (uint i = 0; i + 1 < SEGMENTS; ++i)
        if (row >= c->p->segment[i].end) begin = c->p->segment[i].end;
    return row - begin;
}

float addend_of(const Context *c, uint row) {
    const uint segment = segment_of(c, row), at = place_of(c, row);
#pragma unroll
    for (uint i = 0; i < SEGMENTS; ++i)
        if (segment == i && c->p->segment[i].add_at != kNone)
            return AT(float, c->add[i], c->p->segment[i].add_at)[at];
    return 0.0f;
}

void store(const Context *c, uint row, float value) {
    const uint segment = segment_of(c, row), at = place_of(c, row);
#pragma unroll
    for (uint i = 0; i < SEGMENTS; ++i)
        if (segment == i) AT(float, c->y[i], c->p->segment[i].y_at)[at] = value;
}

float4 ahead_of(const Context *c, uint pair) {
    if (GLU != 0) return (float4)(0.0f);
    const uint2 rows = rows_of(c, pair);
    return (float4)(addend_of(c, rows.x), addend_of(c, rows.y), 0.0f, 0.0f);
}

void take(const Context *c, uint pair, float2 products, float4 ahead) {
    if (GLU != 0) {
        AT(float, c->y[0], c->p->segment[0].y_at)
        [pair] = activation(GLU - 1, products.x) * products.y;
        return;
    }
    store(c, 2 * pair, products.x + ahead.x);
    if (2 * pair + 1 < c->p->n) store(c, 2 * pair + 1, products.y + ahead.y);
}

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
matvec_single(const MatvecSingleParams p, Weights w, BUFFER_ARGUMENTS) {
    local SingleLocal shared;
    Context c;
    c.p = &p;
    const Bytes y[] = {OPERAND(2), OPERAND(3), OPERAND(4)};
    const Bytes add[] = {OPERAND(5), OPERAND(6), OPERAND(7)};
#pragma unroll
    for (uint i = 0; i < SEGMENTS; ++i) {
        c.y[i] = y[i];
        c.add[i] = add[i];
    }
    multiply_rows(&c, &p.x, w, OPERAND(0), OPERAND(1), pairs_of(&c), &shared);
}
