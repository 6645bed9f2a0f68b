// The activations of UNARY and GLU, by the kinds of RZ_UNARY_*.
// Near 0 by its series: 1 - 2 / (exp(2x) + 1) would lose the small result.
float tanh_exact(float x) {
    const float size = abs(x), s = x * x;
    if (size < 0.3)
        return x * (1.0 + s * (-0.33333333 + s * (0.13333333 + s * (-0.053968254 +
                                                                    s * 0.021869488))));
    const float t = 1.0 - 2.0 / (exp(2.0 * min(size, 20.0)) + 1.0);
    return x < 0.0 ? -t : t;
}

// Abramowitz and Stegun 7.1.26 refined by a Taylor series near 0; absolute error 1.5e-7.
float erf_exact(float x) {
    const float size = abs(x), s = x * x;
    if (size < 0.5)
        return x * 1.12837917 *
               (1.0 + s * (-0.33333333 + s * (0.1 + s * (-0.023809524 + s * (0.0046296296 +
                                                                             s * -0.00075757576)))));
    const float t = 1.0 / (1.0 + 0.3275911 * size);
    const float sum =
        t * (0.254829592 +
             t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    const float value = 1.0 - sum * exp(-s);
    return x < 0.0 ? -value : value;
}

float sigmoid(float x) { return 1.0 / (1.0 + exp(-x)); }

float activation(uint kind, float x) {
    switch (kind) {
    case 1: return x * sigmoid(x);
    case 2: return 0.5 * x * (1.0 + tanh_exact(0.79788456 * (x + 0.044715 * x * x * x)));
    case 3: return 0.5 * x * (1.0 + erf_exact(x * 0.70710678));
    case 4: return x * sigmoid(1.702 * x);
    case 5: return max(x, 0.0);
    case 6: return max(x, 0.0) * max(x, 0.0);
    case 7: return sigmoid(x);
    default: return tanh_exact(x);
    }
}
