#include "tools/ctk/tolerance.h"

#include "tools/ctk/rounding.h"

namespace realizar::ctk {
namespace {

// Calls fn(row index, result row) for every row of the first output.
template <class F>
void for_rows(RefCall &call, F fn) {
    std::vector<double> scratch;
    for (int64_t r = 0; r < call.out().rows(); ++r)
        fn(r, call.out().row(r, scratch));
}

std::vector<double> matmul_noise(RefCall &call, rz_dtype type) {
    std::vector<double> sigma, x_scratch;
    RefRows weights(call.in(0));
    for_rows(call, [&](int64_t r, Row y) {
        const Row x = call.in(1).row(r, x_scratch);
        for (size_t n = 0; n < y.size(); ++n)
            sigma.push_back(dot_noise(weights[static_cast<int64_t>(n)], x, y[n], type));
    });
    return sigma;
}

std::vector<double> get_rows_noise(RefCall &call, rz_dtype type) {
    std::vector<double> sigma;
    if (is_plain(type)) return sigma;
    for_rows(call, [&](int64_t, Row y) { sigma.insert(sigma.end(), y.size(), kF32 * largest(y)); });
    return sigma;
}

// ADD, MUL and SCALE. `x_weight` is what multiplies |x| in u (|y| + x_weight |x|).
std::vector<double> linear_noise(RefCall &call) {
    const bool scale = call.node.op == RZ_OP_SCALE;
    const double x_weight = scale ? std::fabs(call.attributes<rz_attr_scale>().scale) : 0;
    std::vector<double> sigma, scratch;
    for_rows(call, [&](int64_t r, Row y) {
        const Row x = call.in(0).row(r, scratch);
        for (size_t i = 0; i < y.size(); ++i)
            sigma.push_back(kF32 * (std::fabs(y[i]) + x_weight * std::fabs(x[i])));
    });
    return sigma;
}

std::vector<double> rms_norm_noise(RefCall &call) {
    std::vector<double> sigma;
    const double relative = kF32 * (3 + std::sqrt(static_cast<double>(call.out().inner())) / 2);
    for_rows(call, [&](int64_t, Row y) {
        for (const double value : y)
            sigma.push_back(relative * std::fabs(value));
    });
    return sigma;
}

std::vector<double> layer_norm_noise(RefCall &call) {
    std::vector<double> sigma, x_scratch, w_scratch, b_scratch;
    const double epsilon = call.attributes<rz_attr_norm>().epsilon;
    const double root = std::sqrt(static_cast<double>(call.out().inner()));
    const Row weight = call.has(1) ? call.in(1).row(0, w_scratch) : Row();
    const Row bias = call.has(2) ? call.in(2).row(0, b_scratch) : Row();
    for_rows(call, [&](int64_t r, Row y) {
        const Row x = call.in(0).row(r, x_scratch);
        const double mean = std::accumulate(x.begin(), x.end(), 0.0) / (root * root);
        double square = 0;
        for (const double value : x)
            square += (value - mean) * (value - mean);
        const double deviation = std::sqrt(square / (root * root) + epsilon);
        const double cancellation = root * (1 + mean * mean / (deviation * deviation));
        for (size_t i = 0; i < y.size(); ++i) {
            const double w = weight.empty() ? 1 : std::fabs(weight[i]);
            const double centred = std::fabs(x[i] - mean) / deviation;
            // The mean is off by u deviation / sqrt(6) even where it is zero: a sum of D terms
            // walks by u deviation D / sqrt(6).
            sigma.push_back(kF32 * (w / deviation * (std::fabs(x[i]) + std::fabs(mean) * root) +
                                    w / 2 + w * centred * (3 + cancellation / 2) + std::fabs(y[i]) +
                                    (bias.empty() ? 0 : std::fabs(bias[i]))));
        }
    });
    return sigma;
}

std::vector<double> rope_noise(RefCall &call) {
    const auto attr = call.attributes<rz_attr_rope>();
    const std::vector<int64_t> positions = ref_integers(call.in(1));
    std::vector<double> sigma, x_scratch, f_scratch;
    const Row factors = call.has(2) ? call.in(2).row(0, f_scratch) : Row();
    const double stretch =
        attr.extrapolation != 0 ? 1 + 0.1 * std::fabs(std::log(1 / double{attr.scale})) : 1;
    const double magnitude = std::fabs(attr.attention_factor) * stretch;
    const size_t pairs = attr.rotated / 2;
    for_rows(call, [&](int64_t r, Row y) {
        const Row x = call.in(0).row(r, x_scratch);
        const auto position =
            static_cast<double>(positions[static_cast<size_t>(r / call.in(0).dim(1))]);
        const size_t begin = sigma.size();
        sigma.resize(begin + y.size(), 0.0);
        for (size_t i = 0; i < pairs; ++i) {
            const bool halves = attr.pairing == RZ_ROPE_HALVES;
            const size_t a = halves ? i : 2 * i, b = halves ? i + pairs : 2 * i + 1;
            const double exponent = -2.0 * static_cast<double>(i) / attr.rotated;
            const double frequency =
                std::pow(double{attr.base}, exponent) / (factors.empty() ? 1 : factors[i]);
            const double angle =
                std::fabs(position) * frequency * std::max(1.0, std::fabs(double{attr.scale}));
            sigma[begin + a] = sigma[begin + b] =
                (std::fabs(x[a]) + std::fabs(x[b])) * magnitude * kF32 *
                (2 + angle * (4 + std::fabs(std::log2(frequency))));
        }
    });
    return sigma;
}

// UNARY, and GLU where `up` multiplies.
std::vector<double> unary_noise(RefCall &call) {
    std::vector<double> sigma, x_scratch, up_scratch;
    const bool glu = call.node.op == RZ_OP_GLU;
    for_rows(call, [&](int64_t r, Row y) {
        const Row x = call.in(0).row(r, x_scratch);
        const Row up = glu ? call.in(1).row(r, up_scratch) : Row();
        for (size_t i = 0; i < y.size(); ++i) {
            const double weight = glu ? std::fabs(up[i]) : 1, size = std::fabs(x[i]);
            sigma.push_back(2 * kF32 * ((1 + size) * std::fabs(y[i]) + weight * size));
        }
    });
    return sigma;
}

std::vector<double> softmax_noise(RefCall &call) {
    const double scale = std::fabs(call.attributes<rz_attr_scale>().scale);
    std::vector<double> sigma, scratch;
    const double root = std::sqrt(static_cast<double>(call.out().inner()));
    for_rows(call, [&](int64_t r, Row y) {
        const Row x = call.in(0).row(r, scratch);
        double most = 0;
        for (const double value : x)
            if (std::isfinite(value)) most = std::max(most, scale * std::fabs(value));
        for (size_t i = 0; i < y.size(); ++i) {
            const double size = std::isfinite(x[i]) ? scale * std::fabs(x[i]) : 0;
            // Results below the normal range of F32 may be flushed to zero.
            sigma.push_back(kF32 * y[i] * (3 + size + most + root / 2) + 0x1p-126);
        }
    });
    return sigma;
}

} // namespace

NodeNoise node_noise(NoiseCall &node, Random &random) {
    RefCall &call = node.call;
    switch (call.node.op) {
    case RZ_OP_GET_ROWS: return get_rows_noise(call, node.types[0]);
    case RZ_OP_MATMUL: return matmul_noise(call, node.types[0]);
    case RZ_OP_ADD:
    case RZ_OP_MUL:
    case RZ_OP_SCALE: return linear_noise(call);
    case RZ_OP_RMS_NORM: return rms_norm_noise(call);
    case RZ_OP_LAYER_NORM: return layer_norm_noise(call);
    case RZ_OP_ROPE: return rope_noise(call);
    case RZ_OP_ATTENTION: return attention_noise(node, random);
    case RZ_OP_UNARY:
    case RZ_OP_GLU: return unary_noise(call);
    case RZ_OP_SOFTMAX: return softmax_noise(call);
    case RZ_OP_ROUTE: return route_noise(call);
    case RZ_OP_EXPERT_MATMUL: return expert_matmul_noise(call, node.types[0]);
    case RZ_OP_WEIGHTED_SUM: return weighted_sum_noise(call);
    case RZ_OP_SSM_CONV: return ssm_conv_noise(call);
    case RZ_OP_SSM_SCAN: return ssm_scan_noise(node);
    default: return {};
    }
}

std::vector<double> rounding_steps(rz_dtype dtype, std::span<const double> values) {
    std::vector<double> steps(values.size(), 0.0);
    if (dtype == RZ_DTYPE_F16 || dtype == RZ_DTYPE_BF16) {
        for (size_t i = 0; i < values.size(); ++i)
            steps[i] = std::fabs(values[i]) * 2 * narrow_roundoff(dtype) + 0x1p-24;
    } else if (dtype == RZ_DTYPE_Q8_0 || dtype == RZ_DTYPE_Q4_0) {
        constexpr size_t kBlock = 32;
        // Where two elements of opposite signs are the largest, either may have the lowest level of
        // Q4_0, and the other's magnitude is then one level less.
        const double levels = dtype == RZ_DTYPE_Q8_0 ? 127 : 8.0 / 2;
        for (size_t begin = 0; begin + kBlock <= values.size(); begin += kBlock) {
            // The scale itself is stored as F16.
            const double step = largest(values.subspan(begin, kBlock)) / levels * (1 + 4 * kF16);
            for (size_t i = begin; i < begin + kBlock; ++i)
                steps[i] = step + 2 * kF16 * std::fabs(values[i]);
        }
    }
    return steps;
}

} // namespace realizar::ctk
