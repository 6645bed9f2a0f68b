// ROPE: a step that makes the cosines and sines of all positions, shared by the nodes with the same
// positions and attributes (all layers of a model), and a step that rotates.
#include "plugins/cpu/ops/op.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace realizar::cpu {

namespace {

// Angle per unit of position of each pair, before division by the factors; see backend.h.
std::vector<double> frequencies(const rz_attr_rope &a) {
    const double rotated = a.rotated;
    double low = 0, high = 0;
    if (a.extrapolation != 0.0f) {
        const auto bound = [&](double beta) {
            return rotated * std::log(a.original_context / (beta * 2 * std::numbers::pi)) /
                   (2 * std::log(static_cast<double>(a.base)));
        };
        low = std::clamp(std::floor(bound(a.beta_fast)), 0.0, rotated - 1);
        high = std::clamp(std::ceil(bound(a.beta_slow)), 0.0, rotated - 1);
    }
    std::vector<double> result(a.rotated / 2);
    for (size_t i = 0; i < result.size(); ++i) {
        const auto index = static_cast<double>(i);
        const double plain = std::pow(static_cast<double>(a.base), -2.0 * index / rotated);
        const double ramp = std::clamp((index - low) / std::max(0.001, high - low), 0.0, 1.0);
        const double r = a.extrapolation * (1.0 - ramp);
        result[i] = plain * (a.scale * (1.0 - r) + r);
    }
    return result;
}

// Per token: cos[pairs], sin[pairs], times the magnitude.
class AnglesStep : public RowStep {
  public:
    AnglesStep(const rz_attr_rope &a, const View &positions, const View *factors, const View &y)
        : RowStep(y, 0), positions_(positions), has_factors_(factors != nullptr),
          frequencies_(frequencies(a)) {
        magnitude_ = a.attention_factor;
        if (a.extrapolation != 0.0f) magnitude_ *= 1.0 + 0.1 * std::log(1.0 / a.scale);
        reads(positions, false);
        if (factors) {
            factors_ = *factors;
            reads(factors_, false);
        }
        writes(y);
    }
    uint64_t cost(const Run &run) const override { return tiles(run) * frequencies_.size() * 30; }

  private:
    void run_row(const Run &run, int64_t step, int64_t row, unsigned) const override {
        const double position = positions_.row<int32_t>(run, 0)[step];
        const float *factors = has_factors_ ? factors_.row(run, 0) : nullptr;
        float *cosines = rows.row(run, step, row);
        float *sines = cosines + frequencies_.size();
        for (size_t i = 0; i < frequencies_.size(); ++i) {
            double angle = position * frequencies_[i];
            if (factors) angle /= factors[i];
            cosines[i] = static_cast<float>(magnitude_ * std::cos(angle));
            sines[i] = static_cast<float>(magnitude_ * std::sin(angle));
        }
    }

    View positions_, factors_;
    bool has_factors_;
    std::vector<double> frequencies_;
    double magnitude_;
};

class RopeStep : public RowStep {
  public:
    RopeStep(const rz_attr_rope &a, const View &x, const View &angles, const View &y)
        : RowStep(y, 400), x_(x), angles_(angles), pairing_(a.pairing), pairs_(a.rotated / 2) {
        reads(x);
        reads(angles);
        writes(y);
    }

  private:
    void run_row(const Run &run, int64_t step, int64_t row, unsigned) const override {
        run.kernels->rope(pairing_, x_.row(run, step, row), angles_.row(run, step),
                          rows.row(run, step, row), pairs_,
                          static_cast<uint64_t>(rows.elements(run)));
    }

    View x_, angles_;
    uint32_t pairing_;
    uint64_t pairs_;
};

void plan(Planner &planner, const Node &node) {
    const auto a = attributes_of<rz_attr_rope>(node);
    const bool has_factors = planner.region().has_input(node, 2);
    // The pairing does not change the angles; a weight or input is one version for all nodes.
    std::string what = "rope";
    auto key = a;
    key.pairing = 0;
    what.append(reinterpret_cast<const char *>(&key), sizeof(key));
    bool constant = true;
    if (has_factors) {
        what += std::to_string(node.inputs[2]);
        const rz_role role = planner.region().input(node, 2).role;
        constant = role == RZ_ROLE_WEIGHT || role == RZ_ROLE_INPUT;
    }
    uint32_t angles = constant ? planner.find_shared(what, node.inputs[1]) : RZ_NONE;
    if (angles == RZ_NONE) {
        angles = planner.scratch_like(node.inputs[0], int64_t{a.rotated} * sizeof(float));
        const View factors = has_factors ? planner.view(node.inputs[2]) : View();
        planner.add(std::make_unique<AnglesStep>(a, planner.view(node.inputs[1]),
                                                 has_factors ? &factors : nullptr,
                                                 planner.view(angles)));
        planner.share(what, node.inputs[1], angles);
    }
    planner.add(std::make_unique<RopeStep>(a, planner.view(node.inputs[0]), planner.view(angles),
                                           planner.view(node.outputs[0])));
}

} // namespace

const Op kRope = {RZ_OP_ROPE, true, plan};

} // namespace realizar::cpu
