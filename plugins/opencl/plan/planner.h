// Turns the nodes of a region into steps.
#pragma once

#include "plugins/opencl/plan/plane_type.h"
#include "plugins/opencl/plan/step.h"
#include "plugins/opencl/weights.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

namespace realizar::opencl {

// A matrix as a kernel takes it: planes for quantised types, else rows.
struct Matrix {
    View view;                       // plain types, and the source of planes made on the fly
    const PlaneType *type = nullptr; // null: a plain type
    Planes fixed = {};               // of a weight
    uint32_t source = RZ_NONE;       // of a weight: which of rz_weights::matrices
    View packed;                     // planes made on the fly, in scratch memory
    PlaneLayout layout;
    bool is_packed = false;

    Planes planes(const Recorder &r) const;
    cl_mem buffer(const Recorder &r) const { return r.buffer(is_packed ? packed : view); }
    // "-DTYPE_Q4_K", or "-DTYPE=1" for plain types.
    std::string option() const;
    // Whether b's rows come behind the n rows of this one in the same planes.
    bool is_before(const Matrix &b, uint64_t n) const;
};

// Vectors in 8 bits, as kernels/quantize.cl makes them.
struct Quantised {
    View memory;
    uint64_t scales = 0; // offset in `memory`
};

// Up to this many rows of x, matrices in planes take them in 8 bits and are read once.
constexpr uint32_t kMatvecRows = 8;

// An RMS_NORM that the matrices which take its result may compute themselves.
struct FoldedNorm {
    View x;
    std::optional<View> weight;
    float epsilon = 0;
};

// Rows in F16, as kernels/half_rows.cl makes them.
struct HalfRows {
    View memory;
    uint64_t scales = 0; // offset in `memory`
};

// How to make a tensor in 8 bits from what it is made of.
struct Maker {
    std::vector<View> touches;
    std::function<void(Recorder &, const Quantised &)> launch;
};

class Planner {
  public:
    Planner(Region &region, const Features &features, const rz_weights *weights, bool fuse)
        : region_(region), features_(features), weights_(weights), fuse_(fuse) {}

    const Region &region() const { return region_; }
    const Features &features() const { return features_; }
    bool fuse() const { return fuse_; }

    View view(uint32_t tensor) const { return View(region_, tensor); }
    std::optional<View> optional_view(const Node &node, size_t input) const;
    // Scratch memory of a program's instances, as a tensor of bytes.
    View scratch(uint64_t bytes);
    // The same for floats in the shape of a tensor, contiguous.
    View scratch_like(uint32_t tensor);
    // Bytes that never change.
    View constant(const void *data, uint64_t size);
    // The operand of MATMUL or GET_ROWS.
    Matrix matrix(uint32_t tensor);

    // A result that an earlier step made from the same operand; null: none. Nothing is shared
    // without fusion.
    const View *find_shared(const std::string &what) const;
    void share(const std::string &what, const View &view) { shared_[what] = view; }

    // Whether matrices in planes take x, where it is one row, as it is (ops/single.h).
    bool fits_single(const View &x) const;
    // The norm whose result is `tensor`, for those; null: none.
    const FoldedNorm *find_norm(uint32_t tensor) const;
    void share_norm(uint32_t tensor, const FoldedNorm &norm) { norms_[tensor] = norm; }
    // Steps from here to the next call with none do nothing where `x`, which fits, is one row:
    // another step does their work.
    void set_not_single(std::optional<View> x) { not_single_ = x; }

    // x in 8 bits for a submission with few rows, made once for all matrices that take it.
    Quantised quantised(uint32_t tensor);
    // x in F16 for a submission with many rows; none where no such form would take it.
    std::optional<HalfRows> half_rows(uint32_t tensor);
    // Whether `tensor` is only taken in 8 bits while it has few rows. Its node then registers how to
    // make those (offer), and its own step does nothing for few rows.
    bool only_taken_quantised(uint32_t tensor) const;
    void offer(uint32_t tensor, Maker maker) { makers_[tensor] = std::move(maker); }

    // Memory outside the scratch for CLBlast; the steps share it.
    void need_room(uint64_t bytes) { room_bytes_ = std::max(room_bytes_, bytes); }

    void add(Step step);

    // Results, for the program.
    std::vector<Step> steps_;
    uint64_t room_bytes_ = 0;
    std::vector<std::byte> constants_;
    std::map<uint32_t, uint64_t> constant_offsets_; // by storage

  private:
    Region &region_;
    const Features &features_;
    const rz_weights *weights_;
    bool fuse_;
    std::map<std::string, View> shared_;
    std::map<uint32_t, Maker> makers_;
    std::map<uint32_t, FoldedNorm> norms_; // by the tensor of the result
    std::optional<View> not_single_;
};

} // namespace realizar::opencl
