// Conversions, norms, activations, softmax, RoPE and attention kernels against float64.
#include "random.h"

#include "realizar/backend.h"

#include <algorithm>
#include <cstring>
#include <functional>

namespace realizar::cpu::test {
namespace {

// Lengths around every vector width.
const std::vector<uint64_t> kLengths = {1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 100, 1000};

class RowKernels : public PerIsa {};

Doubles scaled(const Doubles &values, double factor, double floor) {
    Doubles result;
    for (const double v : values)
        result.push_back(std::abs(v) * factor + floor);
    return result;
}

TEST_P(RowKernels, Arithmetic) {
    for (const uint64_t n : kLengths) {
        const Floats a = random_floats(random, n), b = random_floats(random, n);
        Floats y(n + 1, 7.0f);
        Doubles sum, product, affine;
        for (uint64_t i = 0; i < n; ++i) {
            sum.push_back(static_cast<double>(a[i]) + b[i]);
            product.push_back(static_cast<double>(a[i]) * b[i]);
            affine.push_back(a[i] * 1.5 + 0.25);
        }
        const auto check = [&](const Doubles &expected, const char *what) {
            EXPECT_EQ(y[n], 7.0f) << what << " wrote behind " << n;
            EXPECT_LE(worst({y.begin(), y.end() - 1}, expected, scaled(expected, kEpsilon, 2e-7)),
                      1)
                << what << ' ' << n;
        };
        k.add(a.data(), b.data(), y.data(), n);
        check(sum, "add");
        k.mul(a.data(), b.data(), y.data(), n);
        check(product, "mul");
        k.scale(a.data(), y.data(), n, 1.5f, 0.25f);
        check(affine, "scale");
    }
}

TEST_P(RowKernels, Norms) {
    for (const uint64_t n : kLengths) {
        Floats x = random_floats(random, n);
        for (float &v : x)
            v += 3.0f; // a mean that the variance must not feel
        const Floats w = random_floats(random, n), b = random_floats(random, n);
        double squares = 0, mean = 0, var = 0;
        for (const float v : x) {
            squares += static_cast<double>(v) * v / static_cast<double>(n);
            mean += v / static_cast<double>(n);
        }
        for (const float v : x)
            var += (v - mean) * (v - mean) / static_cast<double>(n);
        Doubles rms, layer, tolerance;
        const double epsilon = 1e-5f;
        for (uint64_t i = 0; i < n; ++i) {
            rms.push_back(x[i] / std::sqrt(squares + epsilon) * w[i]);
            layer.push_back((x[i] - mean) / std::sqrt(var + epsilon) * w[i] + b[i]);
            // The subtraction of means costs units of the mean, not of the difference.
            tolerance.push_back(
                32 * kEpsilon *
                (std::abs(layer[i]) + std::abs(b[i]) +
                 (std::abs(mean) + std::abs(x[i])) / std::sqrt(var + epsilon) * std::abs(w[i])));
        }
        Floats y(n);
        k.rms_norm(x.data(), w.data(), y.data(), n, 1e-5f);
        EXPECT_LE(worst(y, rms, scaled(rms, 16 * kEpsilon, 0)), 1) << n;
        k.layer_norm(x.data(), w.data(), b.data(), y.data(), n, 1e-5f);
        EXPECT_LE(worst(y, layer, tolerance), 1) << n;
        layer[n / 2] += 4 * tolerance[n / 2]; // control
        EXPECT_GT(worst(y, layer, tolerance), 1) << n;
    }
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

const std::pair<uint32_t, std::function<double(double)>> kActivations[] = {
    {RZ_UNARY_SILU, [](double x) { return x * sigmoid(x); }},
    // 0.5 (1 + tanh(u)) = sigmoid(2u); the left side cancels even in double.
    {RZ_UNARY_GELU,
     [](double x) { return x * sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x)); }},
    {RZ_UNARY_GELU_ERF, [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }},
    {RZ_UNARY_GELU_QUICK, [](double x) { return x * sigmoid(1.702 * x); }},
    {RZ_UNARY_RELU, [](double x) { return std::max(x, 0.0); }},
    {RZ_UNARY_RELU_SQUARED, [](double x) { return x > 0 ? x * x : 0; }},
    {RZ_UNARY_SIGMOID, [](double x) { return sigmoid(x); }},
    {RZ_UNARY_TANH, [](double x) { return std::tanh(x); }},
};

// Dense sweeps as well as random values: polynomials fail in spots.
TEST_P(RowKernels, Activations) {
    Floats x = random_floats(random, 20000, 3.0f);
    for (int i = -9000; i <= 9000; ++i)
        x.push_back(static_cast<float>(i) / 1000.0f);
    for (const float special : {0.0f, -0.0f, 1e-20f, -1e-8f, 80.0f, -80.0f, 500.0f, -500.0f})
        x.push_back(special);
    const Floats up = random_floats(random, x.size());
    for (const auto &[kind, reference] : kActivations) {
        Floats y(x.size());
        k.unary(kind, x.data(), y.data(), x.size());
        Doubles exact, tolerance;
        for (const float v : x) {
            exact.push_back(reference(v));
            // Arguments of exponentials are rounded: a relative error of |argument| half units.
            const double argument = std::min(std::abs(v) * 2.0 + std::abs(v * v * v) * 0.08, 90.0);
            tolerance.push_back(std::abs(exact.back()) * kEpsilon * (16 + 4 * argument) + 1e-35);
        }
        EXPECT_LE(worst(y, exact, tolerance), 1) << "kind " << kind;
        k.glu(kind, x.data(), up.data(), y.data(), x.size());
        for (size_t i = 0; i < x.size(); ++i) {
            exact[i] *= up[i];
            tolerance[i] *= 2 * std::abs(up[i]);
        }
        EXPECT_LE(worst(y, exact, tolerance), 1) << "glu kind " << kind;
        exact[1234] *= 1.001; // control
        EXPECT_GT(worst(y, exact, tolerance), 1) << "kind " << kind;
    }
}

TEST_P(RowKernels, Softmax) {
    for (const uint64_t n : kLengths)
        for (const float scale : {1.0f, 0.125f, 3.0f}) {
            Floats x = random_floats(random, n, 4.0f);
            if (n > 4) x[2] = -INFINITY;
            double top = -INFINITY, sum = 0;
            for (const float v : x)
                top = std::max(top, static_cast<double>(v) * scale);
            for (const float v : x)
                sum += std::exp(static_cast<double>(v) * scale - top);
            Doubles exact, tolerance;
            for (const float v : x) {
                const double argument = static_cast<double>(v) * scale - top;
                exact.push_back(std::exp(argument) / sum);
                const double size = std::isinf(argument) ? 0 : std::abs(argument) + std::abs(top);
                tolerance.push_back(exact.back() * kEpsilon * (32 + 4 * size) + 1e-36);
            }
            Floats y(n);
            k.softmax(x.data(), y.data(), n, scale);
            EXPECT_LE(worst(y, exact, tolerance), 1) << n << ' ' << scale;
        }
    Floats none(5, -INFINITY), y(5, 3.0f);
    k.softmax(none.data(), y.data(), 5, 1.0f);
    EXPECT_EQ(y, Floats(5, 0.0f));
}

TEST_P(RowKernels, Argmax) {
    for (const uint64_t n : kLengths) {
        Floats x = random_floats(random, n);
        x[n / 3] = x[n - 1] = 9.0f; // a tie
        EXPECT_EQ(k.argmax(x.data(), n), n / 3) << n;
        std::fill(x.begin(), x.end(), NAN);
        EXPECT_EQ(k.argmax(x.data(), n), 0u);
        x[n - 1] = -5.0f;
        EXPECT_EQ(k.argmax(x.data(), n), n - 1);
        std::fill(x.begin(), x.end(), -INFINITY);
        EXPECT_EQ(k.argmax(x.data(), n), 0u);
    }
}

TEST_P(RowKernels, Rope) {
    for (const uint64_t pairs : {1u, 3u, 8u, 32u, 37u})
        for (const uint32_t pairing : {RZ_ROPE_ADJACENT, RZ_ROPE_HALVES})
            for (const uint64_t rest : {0u, 5u}) {
                const uint64_t n = 2 * pairs + rest;
                const Floats x = random_floats(random, n),
                             angles = random_floats(random, 2 * pairs);
                Doubles exact(x.begin(), x.end());
                for (uint64_t i = 0; i < pairs; ++i) {
                    const uint64_t a = pairing == RZ_ROPE_ADJACENT ? 2 * i : i;
                    const uint64_t b = pairing == RZ_ROPE_ADJACENT ? 2 * i + 1 : i + pairs;
                    const double cosine = angles[i], sine = angles[pairs + i];
                    exact[a] = x[a] * cosine - x[b] * sine;
                    exact[b] = x[a] * sine + x[b] * cosine;
                }
                Floats y(n), in_place = x;
                k.rope(pairing, x.data(), angles.data(), y.data(), pairs, n);
                k.rope(pairing, in_place.data(), angles.data(), in_place.data(), pairs, n);
                EXPECT_LE(worst(y, exact, Doubles(n, 4e-6)), 1);
                EXPECT_EQ(y, in_place);
            }
}

TEST_P(RowKernels, DecodesLikeTheCodecs) {
    for (const WeightCase &c : kWeightCases)
        for (const uint64_t blocks : {1u, 3u, 8u}) {
            const uint64_t n = blocks * std::max(1u, dtype_info(c.dtype).block_elements);
            const WeightRows w(random, c.dtype, 1, n);
            Floats y(n);
            k.decode[c.type](w.data(), y.data(), n);
            const Doubles exact(w.values.begin(), w.values.end());
            double top = 0;
            for (const float v : w.values)
                top = std::max(top, std::abs(static_cast<double>(v)));
            EXPECT_LE(worst(y, exact, Doubles(n, 4 * kEpsilon * 2 * top)), 1) << c.name;
        }
}

TEST_P(RowKernels, HalvesRoundToNearestEven) {
    Floats x = random_floats(random, 5000, 2.0f);
    for (const float special : {0.0f, -0.0f, 65504.0f, 65519.9f, 65520.0f, 1e-8f, 3e-8f, 5.9e-8f,
                                6.1e-5f, -7e-5f, 1e30f, INFINITY, -INFINITY, 0.33325195f})
        x.push_back(special);
    std::vector<uint16_t> f16(x.size()), bf16(x.size());
    k.encode_f16(x.data(), f16.data(), x.size());
    k.encode_bf16(x.data(), bf16.data(), x.size());
    for (size_t i = 0; i < x.size(); ++i) {
        EXPECT_EQ(f16[i], f32_to_f16(x[i])) << x[i];
        EXPECT_EQ(bf16[i], f32_to_bf16(x[i])) << x[i];
    }
    const float nan = NAN;
    k.encode_f16(&nan, f16.data(), 1);
    k.encode_bf16(&nan, bf16.data(), 1);
    EXPECT_TRUE(std::isnan(f16_to_f32(f16[0])) && std::isnan(bf16_to_f32(bf16[0])));
}

TEST_P(RowKernels, EncodesQ8WithinHalfAStep) {
    const uint64_t n = 320;
    const Floats x = random_floats(random, n);
    std::vector<uint8_t> bytes(n / 32 * 34);
    Floats y(n);
    k.encode_q8_0(x.data(), bytes.data(), n);
    k.decode[kQ8_0](bytes.data(), y.data(), n);
    for (uint64_t i = 0; i < n; ++i) {
        float top = 0;
        for (uint64_t j = i / 32 * 32; j < i / 32 * 32 + 32; ++j)
            top = std::max(top, std::abs(x[j]));
        // Half a step; the largest value may lie above 127 steps of the rounded scale.
        const float step = top / 127 * (1 + 0x1p-11f);
        EXPECT_LE(std::abs(y[i] - x[i]),
                  step * 0.5001f + (std::abs(x[i]) == top ? top * 0x1p-11f : 0));
    }
}

RZ_PER_ISA(RowKernels);

} // namespace
} // namespace realizar::cpu::test
