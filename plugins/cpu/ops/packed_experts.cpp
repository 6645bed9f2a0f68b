#include "plugins/cpu/ops/packed.h"

#include <algorithm>
#include <cstring>

namespace realizar::cpu {

namespace {

// EXPERT_MATMUL with packed matrices. Tiles are rows of every expert's matrix, as in experts.cpp; a kernel
// takes all rows of activations of an expert at once, through their list.
class PackedExpertStep : public Step {
  public:
    struct Operands {
        View w, x, y, order;
        View bias;
        bool has_bias;
        int64_t x_stride, lines_per_x;
    };

    PackedExpertStep(const Kernels &kernels, const PackedLayout &layout, const Operands &o)
        : layout_(layout), o_(o), k_(static_cast<uint64_t>(o.w.max_elements())),
          y_stride_(o.y.uniform_stride()), tile_(o.w.rows() >= 1024 ? 64 : 32) {
        reads(o.w, false);
        reads(o.x, false);
        reads(o.order, false);
        if (o.has_bias) reads(o.bias, false);
        writes(o.y, false);
        worker_bytes = kernels.packed_scratch;
    }

    uint64_t tiles(const Run &) const override {
        return static_cast<uint64_t>((o_.w.rows() + tile_ - 1) / tile_);
    }
    // As PackedMatmulStep, for the experts that at most have rows.
    uint64_t cost(const Run &run) const override {
        const auto lines = static_cast<uint64_t>(o_.y.steps(run) * o_.y.rows());
        const uint64_t used = std::min(lines, static_cast<uint64_t>(o_.w.steps(run)));
        const auto n = static_cast<uint64_t>(o_.w.rows());
        return used * layout_.bytes(n, k_) / 20 + lines * n * k_ / 250;
    }

    void run(const Run &run, uint64_t begin, uint64_t end, unsigned worker) const override {
        const int64_t first = static_cast<int64_t>(begin) * tile_;
        const int64_t last = std::min(static_cast<int64_t>(end) * tile_, o_.w.rows());
        if (first >= last) return;
        const int64_t experts = o_.w.steps(run);
        const auto *bounds = o_.order.row<int32_t>(run, 0);
        const int32_t *lines = bounds + experts + 2;
        for (int64_t e = 0; e < experts; ++e)
            if (bounds[e] < bounds[e + 1])
                run_expert(run, worker, e, lines + bounds[e], bounds[e + 1] - bounds[e], first,
                           last);
        for (int32_t at = bounds[experts]; at < bounds[experts + 1]; ++at)
            std::memset(y_row(run, lines[at]) + first, 0,
                        static_cast<size_t>(last - first) * sizeof(float));
    }

  private:
    float *y_row(const Run &run, int64_t line) const {
        return o_.y.row(run, line / o_.y.rows(), line % o_.y.rows());
    }

    void run_expert(const Run &run, unsigned worker, int64_t e, const int32_t *lines, int32_t count,
                    int64_t first, int64_t last) const {
        const auto group = static_cast<uint64_t>(e * o_.w.rows() + first) / kPackedRows;
        PackedArgs args = {
            .w = o_.w.row<uint8_t>(run, 0) + group * layout_.group_bytes(k_),
            .rows = static_cast<uint64_t>(last - first),
            .k = k_,
            .x = o_.x.row<uint8_t>(run, 0),
            .x_stride = o_.x_stride,
            .tokens = static_cast<uint64_t>(count),
            .y = o_.y.row(run, 0) + first,
            .y_stride = y_stride_,
            .scratch = reinterpret_cast<uint8_t *>(run.scratch) + worker * run.worker_bytes,
            .lines = lines,
            .lines_per_x = static_cast<int32_t>(o_.lines_per_x),
        };
        if (y_stride_ >= 0) {
            run.kernels->packed[layout_.type](args);
        } else {
            args.tokens = 1;
            args.lines = nullptr;
            for (int32_t i = 0; i < count; ++i) {
                args.x = o_.x.row<uint8_t>(run, 0) + lines[i] / o_.lines_per_x * o_.x_stride;
                args.y = y_row(run, lines[i]) + first;
                run.kernels->packed[layout_.type](args);
            }
        }
        for (int32_t i = 0; o_.has_bias && i < count; ++i) {
            float *y = y_row(run, lines[i]) + first;
            run.kernels->add(y, o_.bias.row(run, e) + first, y,
                             static_cast<uint64_t>(last - first));
        }
    }

    PackedLayout layout_;
    Operands o_;
    uint64_t k_;
    int64_t y_stride_; // between rows; -1: not uniform
    int64_t tile_;     // rows, whole groups
};

} // namespace

void plan_packed_experts(Planner &planner, const Node &node, uint32_t order) {
    const PackedLayout &layout = *planner.packed(node.inputs[0]);
    const View y = planner.view(node.outputs[0]);
    const PackedX x = plan_packed_x(planner, layout, node.inputs[1]);
    PackedExpertStep::Operands o;
    o.w = planner.view(node.inputs[0]);
    o.x = planner.view(x.tensor);
    o.x_stride = x.stride;
    o.y = y;
    o.order = planner.view(order);
    o.has_bias = planner.region().has_input(node, 3);
    if (o.has_bias) o.bias = planner.view(node.inputs[3]);
    o.lines_per_x = planner.view(node.inputs[1]).rows() == 1 ? y.rows() : 1;
    planner.add(std::make_unique<PackedExpertStep>(planner.kernels(), layout, o));
}

} // namespace realizar::cpu
