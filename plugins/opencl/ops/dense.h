// MATMUL of many rows by CLBlast: its SGEMM on the weights if they are of F32, else on one slice of rows
// after the other, decoded to F32. Half precision is no choice: CLBlast's HGEMM adds in F16 too.
#pragma once

#include "plugins/opencl/ops/single.h"

namespace realizar::opencl {

class Dense {
  public:
    // For matrices of one type that multiply x; none where own kernels make all of these products.
    static std::optional<Dense> plan(Planner &planner, const View &x,
                                     std::span<const MatmulOperands> parts);

    void add_touches(std::vector<View> &touches) const;

    // Records the first `n` rows of a matrix and x by own kernels.
    using Own = std::function<void(Recorder &, uint32_t n)>;
    // Records the product if CLBlast is to make it. Which is faster is measured for each kind of
    // product, once on a device: at the first recording with memory, what is measured writes to y.
    bool launch(Recorder &r, const MatmulOperands &o, const Own &own) const;

  private:
    explicit Dense(const View &x) : x_(x) {}

    bool wins(Recorder &r, const MatmulOperands &o, const Own &own) const;
    bool fits(const Recorder &r, const MatmulOperands &o) const;
    void record(Recorder &r, const MatmulOperands &o, uint32_t n) const;
    void decode(Recorder &r, const MatmulOperands &o, uint32_t first, uint32_t count) const;
    Sgemm product(const Recorder &r, const MatmulOperands &o, uint32_t first, uint32_t count) const;

    View x_;
    uint32_t x_stride_ = 0;
    uint32_t slice_ = 0;         // rows of a matrix at a time
    std::optional<View> floats_; // these decoded
    uint64_t room_bytes_ = 0;
};

} // namespace realizar::opencl
