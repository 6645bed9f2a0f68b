// The activations of UNARY and GLU, by the kinds of RZ_UNARY_*.
float sigmoid(float x) { return 1.0f / (1.0f + exp(-x)); }

float activation(uint kind, float x) {
    switch (kind) {
    case 1: return x * sigmoid(x);
    case 2: return 0.5f * x * (1.0f + tanh(0.79788456f * (x + 0.044715f * x * x * x)));
    case 3: return 0.5f * x * (1.0f + erf(x * 0.70710678f));
    case 4: return x * sigmoid(1.702f * x);
    case 5: return fmax(x, 0.0f);
    case 6: return fmax(x, 0.0f) * fmax(x, 0.0f);
    case 7: return sigmoid(x);
    default: return tanh(x);
    }
}
