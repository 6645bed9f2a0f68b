// COPY: between the float types.
#include "plugins/cpu/ops/op.h"

#include <algorithm>
#include <cstring>

namespace realizar::cpu {

namespace {

void encode(const Kernels &k, rz_dtype type, const float *x, void *y, uint64_t n) {
    if (type == RZ_DTYPE_F16)
        k.encode_f16(x, static_cast<uint16_t *>(y), n);
    else if (type == RZ_DTYPE_BF16)
        k.encode_bf16(x, static_cast<uint16_t *>(y), n);
    else
        std::memcpy(y, x, n * sizeof(float));
}

class CopyStep : public RowStep {
  public:
    CopyStep(const View &x, rz_dtype from, const View &y, rz_dtype to)
        : RowStep(y, 250), x_(x), from_(from), to_(to) {
        reads(x);
        writes(y);
    }

  private:
    void run_row(const Run &run, int64_t step, int64_t row, unsigned) const override {
        const auto *x = x_.row<uint8_t>(run, step, row);
        auto *y = rows.row<uint8_t>(run, step, row);
        const auto n = static_cast<uint64_t>(rows.elements(run));
        if (from_ == to_) {
            std::memcpy(y, x, n * dtype_info(to_).bytes);
        } else if (to_ == RZ_DTYPE_F32) {
            run.kernels->decode[weight_type(from_)](x, reinterpret_cast<float *>(y), n);
        } else {
            float part[256];
            for (uint64_t i = 0; i < n; i += std::size(part)) {
                const uint64_t count = std::min<uint64_t>(n - i, std::size(part));
                run.kernels->decode[weight_type(from_)](x + i * dtype_info(from_).bytes, part,
                                                        count);
                encode(*run.kernels, to_, part, y + i * dtype_info(to_).bytes, count);
            }
        }
    }

    View x_;
    rz_dtype from_, to_;
};

void plan(Planner &planner, const Node &node) {
    planner.add(std::make_unique<CopyStep>(
        planner.view(node.inputs[0]), planner.region().input(node, 0).dtype,
        planner.view(node.outputs[0]), planner.region().output(node, 0).dtype));
}

} // namespace

const Op kCopy = {RZ_OP_COPY, false, plan};

} // namespace realizar::cpu
