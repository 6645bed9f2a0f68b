// MATMUL of one vector with a matrix in planes, the form of decoding: each workgroup turns the vector
// into 8 bits itself (shaders/include/single.glsl), after a norm if asked, so that neither takes a
// dispatch of its own.
#pragma once

#include "plugins/vulkan/plan/planner.h"

#include <optional>

namespace realizar::vulkan {

class Single {
  public:
    // `norm`: x is its result; null: x as it is. `glu`: 1 + kind of a GLU whose second operand comes
    // from the rows of w behind the n of y; 0: none.
    Single(const Matrix &w, const View &x, const Norm *norm, uint32_t glu = 0);

    void add_reads(Step &step) const;
    // y [n] = w x; `add`: an address of n floats, or 0.
    void dispatch(Recorder &r, const View &y, uint64_t add) const;
    // shaders/matvec_qkv.comp for n rows: with these operands and specialisation constants.
    struct Qkv {
        uint64_t y, biases, angles, cells, k, v;
    };
    void dispatch_qkv(Recorder &r, const Qkv &operands, uint32_t n,
                      std::span<const uint32_t> constants) const;

  private:
    MatvecSingleParams params(const Recorder &r) const;
    void dispatch(Recorder &r, const char *shader, const MatvecSingleParams &p, uint32_t pairs,
                  uint32_t rows, std::span<const uint32_t> constants) const;

    Matrix w_;
    View x_;
    std::optional<Norm> norm_;
    uint32_t glu_;
};

// Workgroups, `most` of them, for `steps` equal pieces of work: all get as many, and few are idle at
// the end.
uint32_t even_groups(uint32_t steps, uint32_t most);

// Whether b's rows come behind the n rows of a in the same planes.
bool adjacent(const Matrix &a, const Matrix &b, uint64_t n);

} // namespace realizar::vulkan
