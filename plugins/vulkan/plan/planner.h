// Turns the nodes of a region into steps.
#pragma once

#include "plugins/vulkan/plan/plane_type.h"
#include "plugins/vulkan/plan/step.h"
#include "plugins/vulkan/weights.h"

#include <map>
#include <optional>
#include <string>

namespace realizar::vulkan {

// A matrix as a kernel takes it: planes for quantised types, else rows.
struct Matrix {
    View view;                       // plain types, and the source of planes made on the fly
    const PlaneType *type = nullptr; // null: a plain type
    Planes fixed = {};               // of a weight
    uint64_t half = 0;               // address of its rows in F16 (half_weights.h); 0: none
    View packed;                     // planes made on the fly, in scratch memory
    PlaneLayout layout{{}, 0};
    bool is_packed = false;

    Planes resolve(const Recorder &r) const;
    void add_reads(Step &step) const;
};

// Groups of 32 elements that the single form of MATMUL (ops/matmul_single.h) can keep: 40 bytes each of
// the 32 KiB of shared memory that lavapipe has, next to 3.2 KiB for sums.
constexpr uint32_t kSingleGroups = 736;

// Whether x can be the operand of the single form when it is one vector; its loads take 16 bytes.
inline bool fits_single(const View &x) {
    return x.max_inner() / 32 <= kSingleGroups && x.offset() % 16 == 0;
}
inline bool runs_single(const View &x, Symbols symbols) {
    return x.rows(symbols) == 1 && fits_single(x);
}

// An RMS_NORM that the matrices which take its result may compute themselves.
struct Norm {
    View x;
    std::optional<View> weight;
    float epsilon = 0;
};

// A GLU that the step which turns its result into F16 may compute.
struct Glu {
    View a, b;
    uint32_t kind;
};

class Planner {
  public:
    Planner(Region &region, const Features &features, const rz_weights *weights, bool fuse)
        : region_(region), features_(features), weights_(weights), fuse_(fuse) {}

    const Region &region() const { return region_; }
    bool fuse() const { return fuse_; }
    const Features &features() const { return features_; }

    View view(uint32_t tensor) const { return View(region_, tensor); }
    // Scratch memory of a program's instances, as a tensor of bytes.
    View scratch(uint64_t bytes);
    // The same for floats in the shape of a tensor, contiguous.
    View scratch_like(uint32_t tensor);
    // Bytes that never change.
    View constant(const void *data, uint64_t size);
    // Memory that the host fills when an instance is bound (Step::fill_table).
    View table(uint64_t size);
    // The operand of MATMUL or GET_ROWS.
    Matrix matrix(uint32_t tensor);

    // A result that an earlier step made from the same operand; null: none. Nothing is shared
    // without fusion.
    const View *find_shared(const std::string &what) const;
    void share(const std::string &what, const View &view);

    // The norm whose result is `tensor`, if its takers may compute it; null: none.
    const Norm *find_norm(uint32_t tensor) const;
    void share_norm(uint32_t tensor, const Norm &norm) { norms_[tensor] = norm; }
    // The same of a GLU; its takers are matrices in planes.
    const Glu *find_glu(uint32_t tensor) const;
    void share_glu(uint32_t tensor, const Glu &glu) { glus_[tensor] = glu; }
    // Whether only matrices in planes take `tensor`.
    bool only_matrices_take(uint32_t tensor) const;
    // Steps from here to the next call with none do nothing where `x` takes the single form:
    // another step does their work.
    void set_not_single(std::optional<View> x) { not_single_ = x; }

    void add(std::unique_ptr<Step> step);

    // Results, for the program.
    std::vector<std::unique_ptr<Step>> steps_;
    std::vector<std::byte> constants_;
    std::map<uint32_t, uint64_t> constant_offsets_; // by storage
    std::map<uint32_t, uint64_t> table_offsets_;
    uint64_t table_bytes_ = 0;

  private:
    Region &region_;
    const Features &features_;
    const rz_weights *weights_;
    bool fuse_;
    std::map<std::string, View> shared_;
    std::map<uint32_t, Norm> norms_; // by the tensor of the result
    std::map<uint32_t, Glu> glus_;
    std::optional<View> not_single_;
};

} // namespace realizar::vulkan
