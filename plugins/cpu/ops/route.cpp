// ROUTE and WEIGHTED_SUM: which experts a token takes, and the sum of what they say.
#include "plugins/cpu/ops/op.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace realizar::cpu {

namespace {

constexpr float kTaken = -std::numeric_limits<float>::infinity();

// The largest that is not taken, the lowest index on a tie; NaN and -Inf come last. `n` if all are
// taken.
uint32_t best(const float *scores, const uint8_t *taken, uint32_t n) {
    uint32_t result = n, other = n;
    for (uint32_t i = 0; i < n; ++i) {
        if (taken[i]) continue;
        if (other == n) other = i;
        if (scores[i] > kTaken && (result == n || scores[i] > scores[result])) result = i;
    }
    return result == n ? other : result;
}

// The sum of the `count` largest of a group.
float group_score(const float *scores, uint8_t *taken, uint32_t size, uint32_t count) {
    std::memset(taken, 0, size);
    float total = 0;
    for (uint32_t i = 0; i < count; ++i) {
        const uint32_t e = best(scores, taken, size);
        taken[e] = 1;
        total += scores[e];
    }
    return total;
}

class RouteStep : public RowStep {
  public:
    RouteStep(Planner &planner, const Node &node)
        : RowStep(planner.view(node.inputs[0]), 3000), weights_(planner.view(node.outputs[0])),
          experts_(planner.view(node.outputs[1])), attr_(attributes_of<rz_attr_route>(node)),
          count_(static_cast<uint32_t>(rows.max_elements())) {
        reads(rows);
        writes(weights_);
        writes(experts_);
        has_bias_ = planner.region().has_input(node, 1);
        if (has_bias_) {
            bias_ = planner.view(node.inputs[1]);
            reads(bias_, false);
        }
        // Probabilities, scores, scores of groups; marks of experts and of groups.
        worker_bytes = align_up(uint64_t{count_} * (3 * sizeof(float) + 2));
    }

  private:
    void run_row(const Run &run, int64_t step, int64_t, unsigned worker) const override {
        auto *p = reinterpret_cast<float *>(run.scratch + worker * run.worker_bytes);
        float *scores = p + count_, *groups = scores + count_;
        auto *taken = reinterpret_cast<uint8_t *>(groups + count_);
        const float *logits = rows.row(run, step);
        if (attr_.gating == RZ_GATING_SOFTMAX)
            run.kernels->softmax(logits, p, count_, 1.0f);
        else
            run.kernels->unary(RZ_UNARY_SIGMOID, logits, p, count_);
        std::memcpy(scores, p, count_ * sizeof(float));
        if (has_bias_) run.kernels->add(p, bias_.row(run, 0), scores, count_);
        std::memset(taken, 0, count_);
        if (attr_.groups > 1) close_groups(scores, groups, taken, taken + count_);

        float *weights = weights_.row(run, step);
        auto *experts = experts_.row<int32_t>(run, step);
        float sum = 0;
        for (uint32_t i = 0; i < attr_.k; ++i) {
            const uint32_t e = best(scores, taken, count_);
            taken[e] = 1;
            experts[i] = static_cast<int32_t>(e);
            sum += weights[i] = p[e];
        }
        const float divisor = attr_.normalise ? sum : 1.0f;
        const float factor = divisor == 0 ? 0 : attr_.scale / divisor;
        for (uint32_t i = 0; i < attr_.k; ++i)
            weights[i] *= factor;
    }

    // Marks the experts of all groups but the best as taken.
    void close_groups(const float *scores, float *groups, uint8_t *taken, uint8_t *open) const {
        const uint32_t size = count_ / attr_.groups;
        for (uint32_t g = 0; g < attr_.groups; ++g)
            groups[g] = group_score(scores + g * size, taken, size, attr_.group_top);
        std::memset(open, 0, attr_.groups);
        for (uint32_t i = 0; i < attr_.groups_used; ++i)
            open[best(groups, open, attr_.groups)] = 1;
        for (uint32_t g = 0; g < attr_.groups; ++g)
            std::memset(taken + g * size, open[g] ? 0 : 1, size);
    }

    View weights_, experts_, bias_;
    rz_attr_route attr_;
    uint32_t count_;
    bool has_bias_ = false;
};

void plan_route(Planner &planner, const Node &node) {
    planner.add(std::make_unique<RouteStep>(planner, node));
}

class WeightedSumStep : public RowStep {
  public:
    WeightedSumStep(const View &x, const View &weights, const View &y)
        : RowStep(y, 500), x_(x), weights_(weights) {
        reads(x);
        reads(weights);
        writes(y);
    }

  private:
    void run_row(const Run &run, int64_t step, int64_t, unsigned) const override {
        const float *weights = weights_.row(run, step);
        float *y = rows.row(run, step);
        const int64_t n = rows.elements(run);
        run.kernels->scale(x_.row(run, step), y, static_cast<uint64_t>(n), weights[0], 0.0f);
        for (int64_t j = 1; j < x_.rows(); ++j) {
            const float *x = x_.row(run, step, j);
            const float weight = weights[j];
            for (int64_t i = 0; i < n; ++i)
                y[i] += weight * x[i];
        }
    }

    View x_, weights_;
};

void plan_weighted_sum(Planner &planner, const Node &node) {
    planner.add(std::make_unique<WeightedSumStep>(
        planner.view(node.inputs[0]), planner.view(node.inputs[1]), planner.view(node.outputs[0])));
}

} // namespace

const Op kRoute = {RZ_OP_ROUTE, false, plan_route};
const Op kWeightedSum = {RZ_OP_WEIGHTED_SUM, false, plan_weighted_sum};

} // namespace realizar::cpu
