// SAMPLE: a token from a row of candidates. Some tens of exponentials a token, in double precision.
#include "plugins/cpu/ops/op.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

namespace realizar::cpu {

namespace {

class SampleStep : public RowStep {
  public:
    SampleStep(const View &logits, const View &tokens, const View &draws, const View &y)
        : RowStep(logits, 20000), tokens_(tokens), draws_(draws), y_(y) {
        reads(rows);
        reads(tokens);
        reads(draws);
        writes(y, false);
        worker_bytes = align_up(static_cast<uint64_t>(rows.max_elements()) *
                                (2 * sizeof(double) + sizeof(uint32_t)));
    }

  private:
    struct Draw {
        float temperature, top_k, top_p, min_p, uniform;
    };

    // Entries of the falling row that stay; weights[i] = exp(logits[i] - logits[0]).
    static size_t count_kept(const float *logits, size_t count, const Draw &draw, double *weights) {
        size_t kept = 0;
        double total = 0, sum = 0;
        while (kept < count && logits[kept] > -INFINITY)
            ++kept;
        if (draw.top_k > 0 && draw.top_k < static_cast<float>(kept))
            kept = static_cast<size_t>(draw.top_k);
        const double first = std::min(logits[0], FLT_MAX);
        for (size_t i = 0; i < kept; ++i)
            total += weights[i] = std::exp(std::min(logits[i], FLT_MAX) - first);
        for (size_t i = 0; draw.top_p < 1 && i < kept; ++i)
            if ((sum += weights[i]) >= draw.top_p * total) kept = i + 1;
        while (kept > 0 && weights[kept - 1] < draw.min_p)
            --kept;
        return kept;
    }

    void run_row(const Run &run, int64_t step, int64_t, unsigned worker) const override {
        const float *logits = rows.row(run, step);
        const auto *tokens = tokens_.row<int32_t>(run, step);
        const auto count = static_cast<size_t>(rows.elements(run));
        const Draw draw = *draws_.row<Draw>(run, step);
        auto *weights = reinterpret_cast<double *>(run.scratch + worker * run.worker_bytes);
        auto *sharpened = weights + count;
        auto *order = reinterpret_cast<uint32_t *>(sharpened + count);
        int32_t &chosen = y_.row<int32_t>(run, 0)[step];
        chosen = tokens[0];
        const size_t kept = count_kept(logits, count, draw, weights);
        if (draw.temperature <= 0) return;
        double total = 0, sum = 0;
        for (uint32_t i = 0; i < kept; ++i) {
            order[i] = i;
            const double logit = std::min(logits[i], FLT_MAX), first = std::min(logits[0], FLT_MAX);
            sharpened[i] = std::exp((logit - first) / draw.temperature);
        }
        std::sort(order, order + kept,
                  [&](uint32_t a, uint32_t b) { return tokens[a] < tokens[b]; });
        for (size_t i = 0; i < kept; ++i)
            total += sharpened[order[i]];
        for (size_t i = 0; i < kept; ++i) {
            if (!((sum += sharpened[order[i]]) > draw.uniform * total)) continue;
            chosen = tokens[order[i]];
            return;
        }
    }

    View tokens_, draws_, y_;
};

void plan_sample(Planner &planner, const Node &node) {
    planner.add(
        std::make_unique<SampleStep>(planner.view(node.inputs[0]), planner.view(node.inputs[1]),
                                     planner.view(node.inputs[2]), planner.view(node.outputs[0])));
}

} // namespace

const Op kSample = {RZ_OP_SAMPLE, false, plan_sample};

} // namespace realizar::cpu
