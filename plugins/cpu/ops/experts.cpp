// EXPERT_MATMUL: each token through the matrices that it names.
//
// The rows of a submission are sorted by expert first. Then each tile, a panel of rows of every
// expert's matrix, visits the experts that have rows: a thread reads its part of each chosen matrix
// once, whatever the number of tokens, and nothing of the others.
#include "plugins/cpu/ops/lent.h"
#include "plugins/cpu/ops/packed.h"

#include <algorithm>
#include <cstring>

namespace realizar::cpu {

namespace {

// The rows t * J + j of a submission in the order of their experts, rows without one last.
//   int32_t begin[E + 2]   where each expert's rows begin, then those without one, then the end
//   int32_t rows[T * J]
class SortStep : public Step {
  public:
    SortStep(const View *ids, const View &y, int64_t experts, const View &order)
        : y_(y), order_(order), experts_(experts) {
        if (ids) {
            ids_ = *ids;
            named_ = true;
            reads(ids_, false);
        }
        writes(order_, false);
    }
    static int64_t bytes(int64_t experts, const View &y) {
        return (experts + 2 + y.max_steps() * y.rows()) * static_cast<int64_t>(sizeof(int32_t));
    }

    uint64_t tiles(const Run &) const override { return 1; }
    uint64_t cost(const Run &run) const override {
        return static_cast<uint64_t>(experts_ + 4 * y_.steps(run) * y_.rows());
    }
    void run(const Run &run, uint64_t, uint64_t, unsigned) const override {
        auto *begin = order_.row<int32_t>(run, 0);
        int32_t *lines = begin + experts_ + 2;
        const int64_t tokens = y_.steps(run), chosen = y_.rows();
        std::fill_n(begin, experts_ + 2, 0);
        for_rows(run, tokens, chosen, [&](int64_t, int64_t e) { ++begin[e + 1]; });
        for (int64_t e = 0; e <= experts_; ++e)
            begin[e + 1] += begin[e];
        // Moves each begin to its end, which is where the next one begins.
        for_rows(run, tokens, chosen,
                 [&](int64_t row, int64_t e) { lines[begin[e]++] = static_cast<int32_t>(row); });
        for (int64_t e = experts_ + 1; e > 0; --e)
            begin[e] = begin[e - 1];
        begin[0] = 0;
    }

  private:
    template <class F>
    void for_rows(const Run &run, int64_t tokens, int64_t chosen, F visit) const {
        for (int64_t t = 0; t < tokens; ++t)
            for (int64_t j = 0; j < chosen; ++j) {
                const int64_t e = named_ ? ids_.row<int32_t>(run, t)[j] : j;
                visit(t * chosen + j, e >= 0 && e < experts_ ? e : experts_);
            }
    }

    View ids_, y_, order_;
    bool named_ = false;
    int64_t experts_;
};

// Rows of x as the kernels of quantised weights take them.
class QuantizeRowsStep : public RowStep {
  public:
    QuantizeRowsStep(const View &x, const View &y) : RowStep(y, 300), x_(x) {
        reads(x);
        writes(y);
    }

  private:
    void run_row(const Run &run, int64_t step, int64_t, unsigned) const override {
        const auto k = static_cast<uint64_t>(x_.max_elements());
        auto *y = rows.row<uint8_t>(run, step);
        for (int64_t r = 0; r < x_.rows(); ++r)
            run.kernels->quantize(x_.row(run, step, r),
                                  y + static_cast<uint64_t>(r) * q8_row_bytes(k), k);
    }

    View x_;
};

struct Operands {
    View w, x, y, order;
    View q8; // rows of x for quantised weights
    bool quantised = false;
    View bias;
    bool has_bias = false;
    int64_t w_row_bytes = 0;
};

class ExpertStep : public Step {
  public:
    ExpertStep(const Planner &planner, const Operands &o, rz_dtype dtype)
        : o_(o), decode_(planner, dtype), type_(weight_type(dtype)),
          kernel_(type_ == kWeightTypes ? kF32 : type_),
          panel_(std::min<int64_t>(16, static_cast<int64_t>(planner.kernels().panel_rows))),
          k_(static_cast<uint64_t>(o.w.max_elements())),
          x_bytes_(o.quantised ? q8_row_bytes(k_) : align_up(k_ * sizeof(float))) {
        reads(o.w, false);
        reads(o.quantised ? o.q8 : o.x, false);
        reads(o.order, false);
        if (o.has_bias) reads(o.bias, false);
        writes(o.y, false);
        gather_bytes_ = align_up(kTokens * x_bytes_);
        result_bytes_ = align_up(kTokens * static_cast<uint64_t>(panel_) * sizeof(float));
        decoded_bytes_ = type_ == kWeightTypes
                             ? align_up(static_cast<uint64_t>(panel_) * k_ * sizeof(float))
                             : 0;
        worker_bytes = gather_bytes_ + result_bytes_ + decoded_bytes_ +
                       planner.kernels().gemm_scratch(kernel_, k_);
    }

    uint64_t tiles(const Run &) const override {
        return static_cast<uint64_t>((o_.w.rows() + panel_ - 1) / panel_);
    }
    uint64_t cost(const Run &run) const override {
        const auto lines = static_cast<uint64_t>(o_.y.steps(run) * o_.y.rows());
        const uint64_t used = std::min(lines, static_cast<uint64_t>(o_.w.steps(run)));
        const auto n = static_cast<uint64_t>(o_.w.rows());
        return used * n * static_cast<uint64_t>(o_.w_row_bytes) / 20 + lines * n * k_ / 100;
    }

    void run(const Run &run, uint64_t begin, uint64_t end, unsigned worker) const override {
        const int64_t first = static_cast<int64_t>(begin) * panel_;
        const int64_t last = std::min(static_cast<int64_t>(end) * panel_, o_.w.rows());
        const int64_t experts = o_.w.steps(run);
        const auto *bounds = o_.order.row<int32_t>(run, 0);
        const int32_t *lines = bounds + experts + 2;
        for (int64_t e = 0; e < experts; ++e)
            for (int32_t at = bounds[e]; at < bounds[e + 1]; at += kTokens)
                run_some(run, worker, e, lines + at, std::min<int64_t>(kTokens, bounds[e + 1] - at),
                         first, last);
        for (int32_t at = bounds[experts]; at < bounds[experts + 1]; ++at)
            std::memset(y_row(run, lines[at]) + first, 0,
                        static_cast<size_t>(last - first) * sizeof(float));
    }

  private:
    static constexpr int kTokens = 32; // gathered at once

    const uint8_t *x_row(const Run &run, int64_t row) const {
        const int64_t t = row / o_.y.rows(), j = o_.x.rows() == 1 ? 0 : row % o_.y.rows();
        if (!o_.quantised) return o_.x.row<uint8_t>(run, t, j);
        return o_.q8.row<uint8_t>(run, t) + static_cast<uint64_t>(j) * x_bytes_;
    }
    float *y_row(const Run &run, int64_t row) const {
        return o_.y.row(run, row / o_.y.rows(), row % o_.y.rows());
    }

    // Rows [first, last) of expert e's matrix with up to kTokens rows of x.
    void run_some(const Run &run, unsigned worker, int64_t e, const int32_t *lines, int64_t count,
                  int64_t first, int64_t last) const {
        auto *scratch = reinterpret_cast<uint8_t *>(run.scratch) + worker * run.worker_bytes;
        uint8_t *decoded = scratch + gather_bytes_ + result_bytes_;
        const bool gemm = count >= static_cast<int64_t>(run.kernels->gemm_tokens[kernel_]);
        for (int64_t i = 0; gemm && i < count; ++i)
            std::memcpy(scratch + static_cast<uint64_t>(i) * x_bytes_, x_row(run, lines[i]),
                        o_.quantised ? x_bytes_ : k_ * sizeof(float));
        // A dot takes any number of rows; panels bound what is decoded, and what a gemm gives.
        const int64_t piece = gemm || decoded_bytes_ > 0 ? panel_ : last - first;
        for (int64_t n = first; n < last; n += piece) {
            const int64_t height = std::min(piece, last - n);
            const uint8_t *w = o_.w.row<uint8_t>(run, e, n);
            int64_t w_stride = o_.w_row_bytes;
            if (decoded_bytes_ > 0) {
                for (int64_t r = 0; r < height; ++r)
                    decode_(run, w + r * w_stride,
                            reinterpret_cast<float *>(decoded) + static_cast<uint64_t>(r) * k_, k_);
                w = decoded;
                w_stride = static_cast<int64_t>(k_ * sizeof(float));
            }
            if (gemm)
                run_gemm(run, scratch, w, w_stride, height, lines, count, n);
            else
                for (int64_t i = 0; i < count; ++i)
                    run.kernels->dot[kernel_]({.w = w,
                                               .w_stride = w_stride,
                                               .rows = static_cast<uint64_t>(height),
                                               .k = k_,
                                               .x = x_row(run, lines[i]),
                                               .y = y_row(run, lines[i]) + n});
        }
        if (!o_.has_bias) return;
        for (int64_t i = 0; i < count; ++i) {
            float *y = y_row(run, lines[i]) + first;
            run.kernels->add(y, o_.bias.row(run, e) + first, y,
                             static_cast<uint64_t>(last - first));
        }
    }

    // The results of a panel lie together at first; then each goes to its token's row.
    void run_gemm(const Run &run, uint8_t *scratch, const uint8_t *w, int64_t w_stride,
                  int64_t height, const int32_t *lines, int64_t count, int64_t n) const {
        auto *result = reinterpret_cast<float *>(scratch + gather_bytes_);
        run.kernels->gemm[kernel_](
            {.w = w,
             .w_stride = w_stride,
             .rows = static_cast<uint64_t>(height),
             .k = k_,
             .x = scratch,
             .x_stride = static_cast<int64_t>(x_bytes_),
             .tokens = static_cast<uint64_t>(count),
             .y = result,
             .y_stride = panel_ * static_cast<int64_t>(sizeof(float)),
             .scratch = scratch + gather_bytes_ + result_bytes_ + decoded_bytes_});
        for (int64_t i = 0; i < count; ++i)
            std::memcpy(y_row(run, lines[i]) + n, result + i * panel_,
                        static_cast<size_t>(height) * sizeof(float));
    }

    Operands o_;
    RowDecoder decode_;
    WeightType type_;   // kWeightTypes: decoded first
    WeightType kernel_; // whose kernels run
    int64_t panel_;
    uint64_t k_, x_bytes_;
    uint64_t gather_bytes_, result_bytes_, decoded_bytes_;
};

void plan(Planner &planner, const Node &node) {
    const Region &region = planner.region();
    const Tensor w = region.input(node, 0);
    const int64_t experts = w.dims[0];
    Operands o;
    o.w = planner.view(node.inputs[0]);
    o.x = planner.view(node.inputs[1]);
    o.y = planner.view(node.outputs[0]);
    o.w_row_bytes = w.row_bytes();
    o.has_bias = region.has_input(node, 3);
    if (o.has_bias) o.bias = planner.view(node.inputs[3]);

    const bool named = region.has_input(node, 2);
    // Without names the order depends on the shapes only.
    const std::string what = "experts " + std::to_string(experts) + (named ? "" : " each");
    const uint32_t source = named ? node.inputs[2] : node.outputs[0];
    uint32_t order = planner.find_shared(what, source);
    if (order == RZ_NONE) {
        order = planner.scratch(1, SortStep::bytes(experts, o.y));
        const View ids = named ? planner.view(node.inputs[2]) : View();
        planner.add(
            std::make_unique<SortStep>(named ? &ids : nullptr, o.y, experts, planner.view(order)));
        planner.share(what, source, order);
    }
    if (planner.packed(node.inputs[0])) return plan_packed_experts(planner, node, order);
    o.order = planner.view(order);

    const WeightType type = weight_type(w.dtype);
    o.quantised = type != kWeightTypes && type >= kQ8_0;
    if (o.quantised) {
        const auto bytes = static_cast<int64_t>(q8_row_bytes(static_cast<uint64_t>(w.inner())));
        uint32_t q8 = planner.find_shared("expert rows", node.inputs[1]);
        if (q8 == RZ_NONE) {
            q8 = planner.scratch_like(node.inputs[1], o.x.rows() * bytes);
            planner.add(std::make_unique<QuantizeRowsStep>(o.x, planner.view(q8)));
            planner.share("expert rows", node.inputs[1], q8);
        }
        o.q8 = planner.view(q8);
    }
    planner.add(std::make_unique<ExpertStep>(planner, o, w.dtype));
}

} // namespace

const Op kExpertMatmul = {RZ_OP_EXPERT_MATMUL, false, plan};

} // namespace realizar::cpu
