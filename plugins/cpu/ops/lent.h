// Weights of types without kernels of this backend: the host decodes their rows to floats.
#pragma once

#include "plugins/cpu/ops/op.h"

namespace realizar::cpu {

// Rows of a weight or table of any type as floats.
class RowDecoder {
  public:
    RowDecoder(const Planner &planner, rz_dtype dtype)
        : dtype_(dtype), type_(weight_type(dtype)), lent_(planner.decoders()) {}

    // n elements, whole blocks.
    void operator()(const Run &run, const uint8_t *blocks, float *out, uint64_t n) const {
        if (type_ != kWeightTypes)
            run.kernels->decode[type_](blocks, out, n);
        else
            (void)lent_->decode(dtype_, blocks, out, n); // a type of the table: cannot fail
    }

  private:
    rz_dtype dtype_;
    WeightType type_;
    const rz_ext_decode *lent_;
};

// The steps of a MATMUL whose weight has no kernels.
void plan_lent_matmul(Planner &planner, const Node &node);

} // namespace realizar::cpu
