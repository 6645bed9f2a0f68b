// ADD, MUL, SCALE, CLAMP, UNARY and GLU: one output element from the elements at the same place.
#include "common.h"
#include "activation.h"

float combine(uint operation, float a, float b, float scale, float bias) {
    switch (operation) {
    case 0: return a + b;
    case 1: return a * b;
    case 2: return a * scale + bias;
    case 3: return fmin(fmax(a, scale), bias);
    default: return operation < 32 ? activation(operation - 16, a) : activation(operation - 32, a) * b;
    }
}

kernel __attribute__((reqd_work_group_size(256, 1, 1))) void
elementwise(const ElementwiseParams p, Bytes a_bytes, Bytes b_bytes, Bytes y_bytes) {
    const bool two = p.operation < 2 || p.operation >= 32;
    for (uint i = get_global_id(0); i < p.total; i += get_global_size(0)) {
        const uint row = i / p.inner, at = i % p.inner;
        const float a = AT(float, a_bytes, row_at(&p.a, p.n1, p.n2, row, 4))[at];
        const float b = two ? AT(float, b_bytes, row_at(&p.b, p.n1, p.n2, row, 4))[at] : 0.0f;
        AT(float, y_bytes, p.y_at)[i] = combine(p.operation, a, b, p.scale, p.bias);
    }
}
