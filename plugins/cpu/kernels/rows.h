// Kernels that work on one row of floats: arithmetic, norms, activations, softmax, argmax, RoPE.
#pragma once

#include "plugins/cpu/kernels/vector_math.h"
#include "realizar/backend.h"

namespace realizar::cpu::RZ_CPU_ISA {

static void add(const float *a, const float *b, float *y, uint64_t n) {
    count_call();
    for_vectors(n, [&](uint64_t i, uint64_t c) {
        store_some(y + i, load_some(a + i, c) + load_some(b + i, c), c);
    });
}

static void mul(const float *a, const float *b, float *y, uint64_t n) {
    count_call();
    for_vectors(n, [&](uint64_t i, uint64_t c) {
        store_some(y + i, load_some(a + i, c) * load_some(b + i, c), c);
    });
}

static void scale(const float *x, float *y, uint64_t n, float factor, float bias) {
    count_call();
    const F vf = set1(factor), vb = set1(bias);
    for_vectors(
        n, [&](uint64_t i, uint64_t c) { store_some(y + i, fma(load_some(x + i, c), vf, vb), c); });
}

static void rms_norm(const float *x, const float *weight, float *y, uint64_t n, float epsilon) {
    count_call();
    F squares = zero();
    for_vectors(n, [&](uint64_t i, uint64_t c) {
        const F v = load_some(x + i, c);
        squares = fma(v, v, squares);
    });
    const float mean = reduce_add(squares) / static_cast<float>(n);
    const F factor = set1(1.0f / sqrtf(mean + epsilon));
    for_vectors(n, [&](uint64_t i, uint64_t c) {
        const F v = load_some(x + i, c) * factor;
        store_some(y + i, weight ? v * load_some(weight + i, c) : v, c);
    });
}

static void layer_norm(const float *x, const float *weight, const float *bias, float *y, uint64_t n,
                       float epsilon) {
    count_call();
    F total = zero();
    for_vectors(n, [&](uint64_t i, uint64_t c) { total = total + load_some(x + i, c); });
    const float mean = reduce_add(total) / static_cast<float>(n);
    F squares = zero();
    for_vectors(n, [&](uint64_t i, uint64_t c) {
        const F d = keep(load_some(x + i, c) - set1(mean), c);
        squares = fma(d, d, squares);
    });
    const float var = reduce_add(squares) / static_cast<float>(n);
    const F factor = set1(1.0f / sqrtf(var + epsilon));
    for_vectors(n, [&](uint64_t i, uint64_t c) {
        F v = (load_some(x + i, c) - set1(mean)) * factor;
        if (weight) v = v * load_some(weight + i, c);
        if (bias) v = v + load_some(bias + i, c);
        store_some(y + i, v, c);
    });
}

// One function object per kind, picked once per row.
struct Silu {
    F operator()(F x) const { return x * sigmoid(x); }
};
// 0.5 (1 + tanh(u)) = sigmoid(2u), which does not cancel for negative u.
struct Gelu {
    F operator()(F x) const {
        const F cubic = fma(x * x * x, set1(0.044715f), x);
        return x * sigmoid(cubic * set1(1.59576912f)); // 2 sqrt(2 / pi)
    }
};
struct GeluErf {
    F operator()(F x) const {
        float lanes[kLanes];
        store(lanes, x);
        for (float &lane : lanes)
            lane *= 0.5f * erfcf(lane * -0.707106781f);
        return load(lanes);
    }
};
struct GeluQuick {
    F operator()(F x) const { return x * sigmoid(x * set1(1.702f)); }
};
struct Relu {
    F operator()(F x) const { return max(x, zero()); }
};
struct ReluSquared {
    F operator()(F x) const {
        const F positive = max(x, zero());
        return positive * positive;
    }
};
struct Sigmoid {
    F operator()(F x) const { return sigmoid(x); }
};
struct Tanh {
    F operator()(F x) const { return tanh(x); }
};

template <class Body>
static inline void with_kind(uint32_t kind, Body body) {
    switch (kind) {
    case RZ_UNARY_SILU: return body(Silu{});
    case RZ_UNARY_GELU: return body(Gelu{});
    case RZ_UNARY_GELU_ERF: return body(GeluErf{});
    case RZ_UNARY_GELU_QUICK: return body(GeluQuick{});
    case RZ_UNARY_RELU: return body(Relu{});
    case RZ_UNARY_RELU_SQUARED: return body(ReluSquared{});
    case RZ_UNARY_SIGMOID: return body(Sigmoid{});
    case RZ_UNARY_TANH: return body(Tanh{});
    default: return;
    }
}

static void unary(uint32_t kind, const float *x, float *y, uint64_t n) {
    count_call();
    with_kind(kind, [&](auto fn) {
        for_vectors(n,
                    [&](uint64_t i, uint64_t c) { store_some(y + i, fn(load_some(x + i, c)), c); });
    });
}

static void glu(uint32_t kind, const float *gate, const float *up, float *y, uint64_t n) {
    count_call();
    with_kind(kind, [&](auto fn) {
        for_vectors(n, [&](uint64_t i, uint64_t c) {
            store_some(y + i, fn(load_some(gate + i, c)) * load_some(up + i, c), c);
        });
    });
}

static void softmax(const float *x, float *y, uint64_t n, float factor) {
    count_call();
    float top = -__builtin_inff();
    if (factor == 1.0f) {
        top = row_max(x, n);
    } else {
        for (uint64_t i = 0; i < n; ++i) {
            const float v = x[i] * factor;
            top = v > top ? v : top;
        }
    }
    if (top == -__builtin_inff()) {
        memset(y, 0, n * sizeof(float));
        return;
    }
    F total = zero();
    for_vectors(n, [&](uint64_t i, uint64_t c) {
        const F e = keep(exp(fma(load_some(x + i, c), set1(factor), set1(-top))), c);
        total = total + e;
        store_some(y + i, e, c);
    });
    const F inverse = set1(1.0f / reduce_add(total));
    for_vectors(
        n, [&](uint64_t i, uint64_t c) { store_some(y + i, load_some(y + i, c) * inverse, c); });
}

static uint64_t argmax(const float *x, uint64_t n) {
    count_call();
    const float top = row_max(x, n);
    if (top == -__builtin_inff()) return 0;
    uint64_t i = 0;
    while (i < n && !(x[i] == top))
        ++i;
    return i;
}

static void rope(uint32_t pairing, const float *x, const float *angles, float *y, uint64_t pairs,
                 uint64_t n) {
    count_call();
    const float *cosines = angles, *sines = angles + pairs;
    if (pairing == RZ_ROPE_HALVES) {
        for_vectors(pairs, [&](uint64_t i, uint64_t c) {
            const F a = load_some(x + i, c), b = load_some(x + pairs + i, c);
            const F cosine = load_some(cosines + i, c), sine = load_some(sines + i, c);
            store_some(y + i, a * cosine - b * sine, c);
            store_some(y + pairs + i, fma(a, sine, b * cosine), c);
        });
    } else {
        for (uint64_t i = 0; i < pairs; ++i) {
            const float a = x[2 * i], b = x[2 * i + 1];
            y[2 * i] = a * cosines[i] - b * sines[i];
            y[2 * i + 1] = a * sines[i] + b * cosines[i];
        }
    }
    if (y != x) memcpy(y + 2 * pairs, x + 2 * pairs, (n - 2 * pairs) * sizeof(float));
}

} // namespace realizar::cpu::RZ_CPU_ISA
