// KV_WRITE: rows of keys or values into cells of a cache.
#include "plugins/cpu/ops/op.h"
#include "plugins/cpu/ops/rotated_cache.h"

#include <cstring>

namespace realizar::cpu {

namespace {

class KvWriteStep : public RowStep {
  public:
    KvWriteStep(const View &cache, rz_dtype type, const View &x, const View &cells)
        : RowStep(x, 400), cache_(cache), cells_(cells), type_(type) {
        reads(x);
        reads(cells, false);
        writes(cache, false);
        if (type == RZ_DTYPE_Q4_0)
            worker_bytes = static_cast<uint64_t>(x.max_elements()) * sizeof(float);
    }

  private:
    void run_row(const Run &run, int64_t step, int64_t row, unsigned worker) const override {
        const int32_t cell = cells_.row<int32_t>(run, 0)[step];
        if (cell < 0 || cell >= cache_.steps(run)) return;
        const float *x = rows.row(run, step, row);
        auto *y = cache_.row<uint8_t>(run, cell, row);
        const auto n = static_cast<uint64_t>(rows.elements(run));
        if (type_ == RZ_DTYPE_F16)
            run.kernels->encode_f16(x, reinterpret_cast<uint16_t *>(y), n);
        else if (type_ == RZ_DTYPE_Q8_0)
            run.kernels->encode_q8_0(x, y, n);
        else if (type_ == RZ_DTYPE_Q4_0)
            write_rotated(run, x, y, n, run.scratch + worker * run.worker_bytes);
        else
            std::memcpy(y, x, n * sizeof(float));
    }

    static void write_rotated(const Run &run, const float *x, uint8_t *y, uint64_t n,
                              std::byte *scratch) {
        auto *rotated = reinterpret_cast<float *>(scratch);
        std::memcpy(rotated, x, n * sizeof(float));
        rotate_row(rotated, n);
        encode_rotated(*run.kernels, rotated, y, n);
    }

    View cache_, cells_;
    rz_dtype type_;
};

void plan(Planner &planner, const Node &node) {
    planner.add(std::make_unique<KvWriteStep>(
        planner.view(node.inputs[0]), planner.region().input(node, 0).dtype,
        planner.view(node.inputs[1]), planner.view(node.inputs[2])));
}

} // namespace

const Op kKvWrite = {RZ_OP_KV_WRITE, false, plan};

} // namespace realizar::cpu
