// MATMUL of one vector with matrices in planes, the form of decoding: each workgroup turns the vector
// into 8 bits itself (kernels/single.h), after a norm if asked, so that neither takes a launch of its own.
#pragma once

#include "plugins/opencl/ops/op.h"

namespace realizar::opencl {

// A MATMUL as the kernels take it, up to its addend.
struct MatmulOperands {
    Matrix w;
    std::optional<View> add;
    uint32_t add_stride = 0; // between rows; 0: a vector for all
    View y;
};

class Single {
  public:
    // Of tensor `x`, which fits (Planner::fits_single), or of what its norm is made of where that has
    // folded into those that take it.
    Single(const Planner &planner, const Matrix &w, uint32_t x);

    void add_touches(std::vector<View> &touches) const;
    // Products with up to kJoinedMatrices matrices that lie one behind the other.
    void launch(Recorder &r, const std::vector<MatmulOperands> &parts) const;
    // y = activation(gate) * up, with the rows of `up` behind those of `gate`; `kind`: RZ_UNARY_*.
    void launch_gated(Recorder &r, const View &y, uint32_t kind) const;

    // For kernels of other files on the same matrix.
    SingleParams params(const Recorder &r) const;
    cl_mem weights(const Recorder &r) const { return w_.buffer(r); }
    cl_mem x(const Recorder &r) const { return r.buffer(x_); }
    cl_mem norm(const Recorder &r) const;
    std::string options(const Recorder &r) const;
    Grid grid(const Recorder &r, uint32_t pairs) const;

  private:
    Matrix w_;
    View x_;
    std::optional<FoldedNorm> norm_;
};

} // namespace realizar::opencl
