// ARGMAX and TOP_K over rows.
#include "plugins/cpu/ops/op.h"

#include <algorithm>
#include <cmath>

namespace realizar::cpu {

namespace {

class ArgmaxStep : public RowStep {
  public:
    ArgmaxStep(const View &x, const View &y) : RowStep(x, 100), y_(y) {
        reads(x);
        writes(y, false);
    }

  private:
    void run_row(const Run &run, int64_t step, int64_t row, unsigned) const override {
        const uint64_t best = run.kernels->argmax(rows.row(run, step, row),
                                                  static_cast<uint64_t>(rows.elements(run)));
        y_.row<int32_t>(run, 0)[step] = static_cast<int32_t>(best);
    }

    View y_;
};

// A heap of the k best so far, worst on top, in the output rows themselves.
class TopKStep : public RowStep {
  public:
    TopKStep(const View &x, const View &values, const View &indices, uint32_t k)
        : RowStep(x, 1000), values_(values), indices_(indices), k_(k) {
        reads(x);
        writes(values);
        writes(indices);
    }

  private:
    // Rank of element a over element b: larger first, lower index on a tie, NaN last.
    static bool before(float a, int32_t ia, float b, int32_t ib) {
        const bool nan_a = std::isnan(a), nan_b = std::isnan(b);
        if (nan_a != nan_b) return nan_b;
        if (!nan_a && a != b) return a > b;
        return ia < ib;
    }

    // Moves the entry at i down to its place in the heap of n.
    static void sift(float *values, int32_t *indices, uint32_t i, uint32_t n) {
        for (;;) {
            uint32_t worst = i;
            for (uint32_t child = 2 * i + 1; child < 2 * i + 3 && child < n; ++child)
                if (before(values[worst], indices[worst], values[child], indices[child]))
                    worst = child;
            if (worst == i) return;
            std::swap(values[i], values[worst]);
            std::swap(indices[i], indices[worst]);
            i = worst;
        }
    }

    void run_row(const Run &run, int64_t step, int64_t row, unsigned) const override {
        const float *x = rows.row(run, step, row);
        float *values = values_.row(run, step, row);
        auto *indices = indices_.row<int32_t>(run, step, row);
        const auto n = static_cast<int32_t>(rows.elements(run));
        for (uint32_t i = 0; i < k_; ++i) {
            values[i] = x[i];
            indices[i] = static_cast<int32_t>(i);
        }
        for (uint32_t i = k_ / 2; i-- > 0;)
            sift(values, indices, i, k_);
        for (auto i = static_cast<int32_t>(k_); i < n; ++i) {
            if (x[i] < values[0]) continue; // the usual case
            if (!before(x[i], i, values[0], indices[0])) continue;
            values[0] = x[i];
            indices[0] = i;
            sift(values, indices, 0, k_);
        }
        for (uint32_t left = k_; left > 1; --left) {
            std::swap(values[0], values[left - 1]);
            std::swap(indices[0], indices[left - 1]);
            sift(values, indices, 0, left - 1);
        }
    }

    View values_, indices_;
    uint32_t k_;
};

void plan_argmax(Planner &planner, const Node &node) {
    planner.add(
        std::make_unique<ArgmaxStep>(planner.view(node.inputs[0]), planner.view(node.outputs[0])));
}

void plan_top_k(Planner &planner, const Node &node) {
    planner.add(std::make_unique<TopKStep>(
        planner.view(node.inputs[0]), planner.view(node.outputs[0]), planner.view(node.outputs[1]),
        attributes_of<rz_attr_top_k>(node).k));
}

} // namespace

const Op kArgmax = {RZ_OP_ARGMAX, false, plan_argmax};
const Op kTopK = {RZ_OP_TOP_K, false, plan_top_k};

} // namespace realizar::cpu
