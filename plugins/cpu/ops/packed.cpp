#include "plugins/cpu/ops/packed.h"

#include "plugins/cpu/packed_layout.h"

#include <algorithm>
#include <cstring>

namespace realizar::cpu {

namespace {

// Activations in the form that a packed type takes: floats, or bytes with one scale for 32 elements or one
// for 256.
struct Form {
    const char *name; // for steps that share the result
    uint64_t (*row_bytes)(uint64_t k);
    void (*make)(const Kernels &kernels, const float *x, uint8_t *y, uint64_t k);
};
constexpr Form kFloats = {
    "floats", [](uint64_t k) { return align_up(k * sizeof(float)); },
    [](const Kernels &, const float *x, uint8_t *y, uint64_t k) { std::memcpy(y, x, k * 4); }};
constexpr Form kShort = {"q8", q8_row_bytes,
                         [](const Kernels &kernels, const float *x, uint8_t *y, uint64_t k) {
                             kernels.quantize(x, y, k);
                         }};
constexpr Form kLong = {"q8 long", q8_long_row_bytes,
                        [](const Kernels &kernels, const float *x, uint8_t *y, uint64_t k) {
                            kernels.quantize_long(x, y, k);
                        }};

const Form &form_of(const PackedLayout &layout) {
    if (layout.block_elements == 1) return kFloats;
    return layout.block_elements == 256 ? kLong : kShort;
}

// Rows of x one after the other in step t of `rows`.
class FormStep : public RowStep {
  public:
    FormStep(const Form &form, const View &x, const View &y) : RowStep(y, 300), form_(form), x_(x) {
        reads(x);
        writes(y);
    }

  private:
    void run_row(const Run &run, int64_t step, int64_t row, unsigned) const override {
        const auto k = static_cast<uint64_t>(x_.max_elements());
        auto *y = rows.row<uint8_t>(run, step, row);
        for (int64_t r = 0; r < x_.rows(); ++r, y += form_.row_bytes(k))
            form_.make(*run.kernels, x_.row(run, step, r), y, k);
    }

    Form form_;
    View x_;
};

// Tiles are whole groups of rows of w: one when weights are read once for few tokens, more when a tile
// unpacks what it multiplies.
class PackedMatmulStep : public Step {
  public:
    PackedMatmulStep(const Kernels &kernels, const PackedLayout &layout, const View &w,
                     const View &x, int64_t x_stride, const View &y)
        : layout_(layout), w_(w), x_(x), y_(y), k_(static_cast<uint64_t>(w.max_elements())),
          x_stride_(x_stride), y_stride_(y.uniform_stride()) {
        reads(w, false);
        reads(x, false);
        writes(y, false);
        worker_bytes = kernels.packed_scratch;
    }

    uint64_t tiles(const Run &run) const override {
        const int64_t size = tile_rows(run);
        return static_cast<uint64_t>((w_.max_steps() + size - 1) / size);
    }
    // 20 bytes of weights or 250 multiplications a nanosecond.
    uint64_t cost(const Run &run) const override {
        const auto n = static_cast<uint64_t>(w_.max_steps());
        return layout_.bytes(n, k_) / 20 + n * tokens(run) * k_ / 250;
    }
    void run(const Run &run, uint64_t begin, uint64_t end, unsigned worker) const override {
        const int64_t size = tile_rows(run), first = static_cast<int64_t>(begin) * size;
        const int64_t last = std::min(static_cast<int64_t>(end) * size, w_.max_steps());
        const uint64_t count = tokens(run);
        if (first >= last || count == 0) return;
        PackedArgs args = {
            .w = w_.row<uint8_t>(run, 0) +
                 static_cast<uint64_t>(first) / kPackedRows * layout_.group_bytes(k_),
            .rows = static_cast<uint64_t>(last - first),
            .k = k_,
            .x = x_.row<uint8_t>(run, 0),
            .x_stride = x_stride_,
            .tokens = count,
            .y = y_.row(run, 0) + first,
            .y_stride = y_stride_,
            .scratch = reinterpret_cast<uint8_t *>(run.scratch) + worker * run.worker_bytes,
            .lines = nullptr,
            .lines_per_x = 1,
        };
        if (y_stride_ >= 0) return run.kernels->packed[layout_.type](args);
        args.tokens = 1;
        for (int64_t t = 0; t < static_cast<int64_t>(count); ++t, args.x += x_stride_) {
            args.y = y_.row(run, t / y_.rows(), t % y_.rows()) + first;
            run.kernels->packed[layout_.type](args);
        }
    }

  private:
    uint64_t tokens(const Run &run) const {
        return static_cast<uint64_t>(y_.steps(run) * y_.rows());
    }
    int64_t tile_rows(const Run &run) const {
        const bool few = tokens(run) <= run.kernels->few_tokens[layout_.type];
        return static_cast<int64_t>(kPackedRows) * (few ? 1 : 4);
    }

    PackedLayout layout_;
    View w_, x_, y_;
    uint64_t k_;
    int64_t x_stride_, y_stride_; // between rows; -1: not uniform
};

class PackedRowsStep : public RowStep {
  public:
    PackedRowsStep(const PackedLayout &layout, const View &table, const View &ids, const View &y)
        : RowStep(y, 600), layout_(layout), table_(table), ids_(ids) {
        reads(table, false);
        reads(ids, false);
        writes(y);
        worker_bytes = row_bytes(static_cast<uint64_t>(table.max_elements()));
    }

  private:
    uint64_t row_bytes(uint64_t k) const {
        return k / layout_.block_elements * layout_.block_bytes;
    }
    void run_row(const Run &run, int64_t step, int64_t row, unsigned worker) const override {
        const int32_t id = ids_.row<int32_t>(run, 0)[step];
        float *y = rows.row(run, step, row);
        const auto n = static_cast<uint64_t>(rows.elements(run));
        if (id < 0 || id >= table_.max_steps()) {
            std::memset(y, 0, n * sizeof(float));
            return;
        }
        auto *bytes = reinterpret_cast<uint8_t *>(run.scratch) + worker * run.worker_bytes;
        unpack_row(layout_, table_.row<uint8_t>(run, 0), static_cast<uint64_t>(id), n, bytes);
        run.kernels->decode[layout_.type](bytes, y, n);
    }

    PackedLayout layout_;
    View table_, ids_;
};

} // namespace

WeightUse use_of_weight(const Region &region, uint32_t weight) {
    const uint32_t rank = region.tensors[weight].rank;
    WeightUse use = {false, rank != 2 && rank != 3};
    for (uint32_t i = 0; i < region.tensors.size(); ++i)
        use.other |= region.tensors[i].storage == weight && region.tensors[i].is_view(i);
    for (const Node &node : region.nodes)
        for (size_t i = 0; i < node.inputs.size(); ++i) {
            if (node.inputs[i] != weight) continue;
            if (i == 0 && node.op == (rank == 2 ? RZ_OP_MATMUL : RZ_OP_EXPERT_MATMUL))
                use.multiplied = true;
            else
                use.other |= i != 0 || node.op != RZ_OP_GET_ROWS || rank != 2;
        }
    return use;
}

PackedX plan_packed_x(Planner &planner, const PackedLayout &layout, uint32_t x) {
    const Form &form = form_of(layout);
    const View view = planner.view(x);
    if (&form == &kFloats && view.uniform_stride() >= 0) return {x, view.uniform_stride()};
    const auto bytes =
        static_cast<int64_t>(form.row_bytes(static_cast<uint64_t>(view.max_elements())));
    uint32_t made = planner.find_shared(form.name, x);
    if (made == RZ_NONE) {
        made = planner.scratch_like(x, view.rows() * bytes);
        planner.add(std::make_unique<FormStep>(form, view, planner.view(made)));
        planner.share(form.name, x, made);
    }
    return {made, bytes};
}

void plan_packed_matmul(Planner &planner, const Node &node) {
    const PackedLayout &layout = *planner.packed(node.inputs[0]);
    const PackedX x = plan_packed_x(planner, layout, node.inputs[1]);
    planner.add(std::make_unique<PackedMatmulStep>(
        planner.kernels(), layout, planner.view(node.inputs[0]), planner.view(x.tensor), x.stride,
        planner.view(node.outputs[0])));
}

void plan_packed_rows(Planner &planner, const Node &node) {
    planner.add(std::make_unique<PackedRowsStep>(
        *planner.packed(node.inputs[0]), planner.view(node.inputs[0]), planner.view(node.inputs[1]),
        planner.view(node.outputs[0])));
}

} // namespace realizar::cpu
