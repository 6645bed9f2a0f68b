// How far a backend may be from the float64 reference: all tolerances of the kit are made here.
//
// Principle. Every operator has a model of the rounding that its contract (backend.h, section 5)
// allows: the standard deviation sigma of the error of each result, derived from the element types,
// the accumulation length and the norms of the very operands of the test. Rounding errors of random
// data add like a random walk, so sigma grows with the square root of the length.
//
// u = 2^-24 is the unit roundoff of F32; u16 = 2^-11 and ub16 = 2^-8 those of F16 and BF16. With
// rows x and w of length K and |wx| = sqrt(sum (w_i x_i)^2):
//   MATMUL     u |wx| sqrt(1 + K/4) + u |y| sqrt(K/3)     accumulation in F32, in any order
//              + max|x| / 254 / sqrt(3) |w|               w quantised: x rounded to 8 bits; a
//                                                         rounding to steps of max/127 has the
//                                                         deviation step / sqrt(12)
//              + u16 |wx| / sqrt(3)   (ub16)              w F16 (BF16): x rounded to that type
//   ATTENTION  the reference runs again with operands perturbed by the same amounts: q rounded to
//              8 bits (Q8_0 and Q4_0 keys) or F16 (F16 keys), K by u sqrt(D), V by u (8 + sqrt(n) + largest
//              score) and by u16 if V is F16, Q8_0 or Q4_0 (the softmax weights rounded to F16); sigma is
//              the root mean square of the change over a head's result
//   RMS_NORM   u |y| (3 + sqrt(D)/2);  LAYER_NORM likewise, plus what x - mean cancels
//   ROPE       (|a| + |b|) magnitude (2u + |angle| u (4 + |log2 frequency|)): the angle is made in
//              F32 by a power, a product and a quotient
//   UNARY, GLU 2u ((1 + |x|) |y| + |x|): exp and tanh within a few units
//   SOFTMAX    u y (3 + |x_i| + max|x| + sqrt(D)/2) of the scaled x
//   ADD, MUL   u |y|;  SCALE u (|y| + |x scale|);  GET_ROWS u max|row| if quantised
//   EXPERT_MATMUL as MATMUL, plus u |y| for a bias;  WEIGHTED_SUM as MATMUL with F32 weights
//   ROUTE      u |weight| times that of SOFTMAX, or (2 + |x|) for a sigmoid; twice as much where the
//              weights are divided by their sum. The cases keep scores apart, so the choice is exact
//   SSM_CONV   as MATMUL over the taps;  the state is exact
//   SSM_SCAN   the variance v of each element of the state follows its recurrence,
//              v' = decay^2 v + (u decay |s| (4 + 2 |delta a|))^2 + (6 u |delta b x|)^2 + (u |s'|)^2;
//              y has sqrt(sum v c^2) and that of a dot of state and c
//   COPY, ARGMAX, TOP_K, GET_ROWS of a plain type, KV_WRITE to F32 or F16, CLAMP, CONCAT: exact
//
// One operator: each element must be within kSigmas sigma. Graphs: the reference runs kRuns times
// with each node's result disturbed by normal noise of its sigma; the spread of those runs at the
// outputs is the sigma of the graph (tolerance by propagated noise), see reference_region.h.
#pragma once

#include "core/reference/ref_ops.h"
#include "tools/ctk/random.h"

#include <vector>

namespace realizar::ctk {

// The sigmas are models, right within a factor of about two; a Gaussian error exceeds six of the
// largest of them in none of a million elements.
inline constexpr double kSigmas = 8;

// A node with its operands as numbers; `call.outputs` hold the reference's results. A STATE that the
// node changes is among the inputs as it was before.
struct NoiseCall {
    RefCall call;
    std::vector<rz_dtype> types; // of the inputs
    // sigma of the state before, from earlier steps; empty: exact.
    std::vector<double> state_sigma = {};
};

// sigma of each element of the node's first and second output, row-major. Empty: exact.
struct NodeNoise {
    NodeNoise(std::vector<double> one = {}, std::vector<double> two = {})
        : first(std::move(one)), second(std::move(two)) {}
    std::vector<double> first, second;
};
NodeNoise node_noise(NoiseCall &node, Random &random);
std::vector<double> attention_noise(NoiseCall &node, Random &random); // tolerance_attention.cpp
// tolerance_layers.cpp
std::vector<double> route_noise(RefCall &call);
std::vector<double> expert_matmul_noise(RefCall &call, rz_dtype type);
std::vector<double> weighted_sum_noise(RefCall &call);
NodeNoise ssm_conv_noise(RefCall &call);
NodeNoise ssm_scan_noise(NoiseCall &node);

// The step of the type at each element of decoded values: how far two correct roundings of nearly
// the same number may be apart. 0 for F32; for Q8_0 the step of the element's block,
// for Q4_0 two of them.
std::vector<double> rounding_steps(rz_dtype dtype, std::span<const double> values);

} // namespace realizar::ctk
