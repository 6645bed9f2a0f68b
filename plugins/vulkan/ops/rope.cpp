// ROPE: a step that makes the cosines and sines of all positions, shared by the nodes with the same
// positions and attributes (all layers of a model), and a step that rotates.
#include "plugins/vulkan/ops/op.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

namespace realizar::vulkan {

namespace {

// Turns per position of each pair, before division by the factors, as two floats each.
std::vector<float> frequencies(const rz_attr_rope &a) {
    const double rotated = a.rotated, turn = 2 * std::numbers::pi;
    double low = 0, high = 0;
    if (a.extrapolation != 0.0f) {
        const auto bound = [&](double beta) {
            return rotated * std::log(a.original_context / (beta * turn)) /
                   (2 * std::log(static_cast<double>(a.base)));
        };
        low = std::clamp(std::floor(bound(a.beta_fast)), 0.0, rotated - 1);
        high = std::clamp(std::ceil(bound(a.beta_slow)), 0.0, rotated - 1);
    }
    std::vector<float> result;
    for (uint32_t i = 0; i < a.rotated / 2; ++i) {
        const double plain = std::pow(static_cast<double>(a.base), -2.0 * i / rotated);
        const double ramp = std::clamp((i - low) / std::max(0.001, high - low), 0.0, 1.0);
        const double r = a.extrapolation * (1.0 - ramp);
        const double value = plain * (a.scale * (1.0 - r) + r) / turn;
        const auto upper = static_cast<float>(value);
        result.push_back(upper);
        result.push_back(static_cast<float>(value - upper));
    }
    return result;
}

float magnitude(const rz_attr_rope &a) {
    double result = a.attention_factor;
    if (a.extrapolation != 0.0f) result *= 1.0 + 0.1 * std::log(1.0 / a.scale);
    return static_cast<float>(result);
}

class AnglesStep : public Step {
  public:
    AnglesStep(const rz_attr_rope &a, const View &positions, const View &turns,
               std::optional<View> factors, const View &y)
        : positions_(positions), turns_(turns), factors_(factors), y_(y), pairs_(a.rotated / 2),
          magnitude_(magnitude(a)) {
        reads(positions);
        reads(turns);
        if (factors) reads(*factors);
        writes(y);
    }

    void record(Recorder &r) const override {
        const uint32_t rows = positions_.inner(r.symbols);
        const AnglesParams p = {r.address(positions_),
                                r.address(turns_),
                                factors_ ? r.address(*factors_) : 0,
                                r.address(y_),
                                pairs_,
                                rows,
                                magnitude_};
        r.dispatch("rope_angles", {}, p, {groups_for(uint64_t{rows} * pairs_, 256)});
    }

  private:
    View positions_, turns_;
    std::optional<View> factors_;
    View y_;
    uint32_t pairs_;
    float magnitude_;
};

class RopeStep : public Step {
  public:
    RopeStep(const Rotation &rotation, const View &x, const View &y)
        : x_(x), rotation_(rotation), y_(y) {
        reads(x);
        reads(rotation.angles);
        writes(y);
    }

    void record(Recorder &r) const override {
        const uint32_t inner = x_.max_inner();
        const uint32_t total = x_.rows(r.symbols) * inner;
        // Rows of x are [T, H]; the shader takes them as [T, 1, H].
        Rows rows = r.rows(x_);
        rows.s0 = x_.stride(1);
        const RopeParams p = {rows,
                              r.address(rotation_.angles),
                              r.address(y_),
                              x_.n2(),
                              inner,
                              rotation_.pairs,
                              rotation_.halves ? 1u : 0u,
                              total};
        const bool four = in_fours(rows, inner) && rotation_.in_fours() && p.y % 16 == 0;
        r.dispatch("rope", {four ? 1u : 0u}, p, {groups_for(total / (four ? 4 : 1), 256)});
    }

  private:
    View x_;
    Rotation rotation_;
    View y_;
};

} // namespace

Rotation plan_rotation(Planner &planner, const Node &node) {
    const auto a = attributes_of<rz_attr_rope>(node);
    const Region &region = planner.region();
    const View x = planner.view(node.inputs[0]);
    std::optional<View> factors;
    if (region.has_input(node, 2)) factors = planner.view(node.inputs[2]);
    // The pairing does not change the angles. Inputs, weights and temporaries never change within
    // a submission; a state might.
    std::string what = "angles " + std::to_string(node.inputs[1]) + ' ' +
                       (factors ? std::to_string(node.inputs[2]) : "none");
    auto key = a;
    key.pairing = 0;
    what.append(reinterpret_cast<const char *>(&key), sizeof(key));
    const bool constant = region.input(node, 1).role != RZ_ROLE_STATE &&
                          (!factors || region.input(node, 2).role != RZ_ROLE_STATE);
    View angles;
    if (const View *shared = planner.find_shared(what); shared && constant) {
        angles = *shared;
    } else {
        angles = planner.scratch(uint64_t{x.max_size(1)} * a.rotated * sizeof(float));
        const std::vector<float> turns = frequencies(a);
        const View constants = planner.constant(turns.data(), turns.size() * sizeof(float));
        planner.add(std::make_unique<AnglesStep>(a, planner.view(node.inputs[1]), constants,
                                                 factors, angles));
        planner.share(what, angles);
    }
    return {angles, a.rotated / 2, a.pairing == RZ_ROPE_HALVES};
}

void plan_rope(Planner &planner, const Node &node) {
    const Rotation rotation = plan_rotation(planner, node);
    planner.add(std::make_unique<RopeStep>(rotation, planner.view(node.inputs[0]),
                                           planner.view(node.outputs[0])));
}

} // namespace realizar::vulkan
