#include "plugins/vulkan/plan/planner.h"

#include "plugins/common/scratch.h"
#include "plugins/common/uses.h"
#include "plugins/vulkan/ops/op.h"

#include <algorithm>

namespace realizar::vulkan {

namespace {

// A quantised operand that is no weight: packed by each submission.
class PackStep : public Step {
  public:
    explicit PackStep(const Matrix &matrix) : matrix_(matrix) {
        reads(matrix.view);
        writes(matrix.packed);
    }
    void record(Recorder &r) const override {
        const PlaneType &type = *matrix_.type;
        const uint32_t groups = matrix_.resolve(r).groups, all = matrix_.view.rows(r.symbols);
        uint32_t stride = 0;
        // Rows at one distance go together; else each matrix of a stack for itself.
        const bool uniform = matrix_.view.uniform(stride);
        const uint32_t rows = uniform ? all : matrix_.view.n2();
        for (uint32_t first = 0; first < all; first += rows) {
            const uint64_t source = uint64_t{first / rows} * matrix_.view.stride(1) * type.unit();
            PackParams p = {r.address(matrix_.view) + source,
                            {},
                            uniform ? stride : matrix_.view.stride(2),
                            groups / type.groups,
                            rows};
            const Planes planes = planes_at(type, matrix_.layout, r.address(matrix_.packed),
                                            uint64_t{first} * p.blocks);
            std::copy_n(planes.plane, 4, p.plane);
            r.dispatch(std::string("pack_") + type.suffix, {}, p,
                       {groups_for(uint64_t{rows} * groups, 64)});
        }
    }

  private:
    Matrix matrix_;
};

// A step that another one replaces where `x` takes the single form of MATMUL.
class UnlessSingle : public Step {
  public:
    UnlessSingle(const View &x, std::unique_ptr<Step> step) : x_(x), step_(std::move(step)) {
        accesses = step_->accesses;
    }
    void record(Recorder &r) const override {
        if (!runs_single(x_, r.symbols)) step_->record(r);
    }
    void fill_table(std::span<const Place> places) const override { step_->fill_table(places); }

  private:
    View x_;
    std::unique_ptr<Step> step_;
};

} // namespace

Planes Matrix::resolve(const Recorder &r) const {
    if (type && !is_packed) return fixed;
    Planes planes = {};
    if (is_packed) {
        planes = planes_at(*type, layout, r.address(packed), 0);
        planes.groups = view.max_inner() / 32;
        planes.stride = planes.groups;
    } else {
        planes.plane[0] = r.address(view);
        planes.stride = view.stride(2);
    }
    return planes;
}

void Matrix::add_reads(Step &step) const {
    if (is_packed)
        step.reads(packed);
    else if (!type)
        step.reads(view);
}

View Planner::scratch(uint64_t bytes) { return view(plugin::add_storage(region_, bytes)); }

View Planner::scratch_like(uint32_t tensor) {
    return view(plugin::add_storage_like(region_, tensor));
}

View Planner::constant(const void *data, uint64_t size) {
    const uint32_t storage = plugin::add_storage(region_, size);
    const uint64_t offset = align_up(constants_.size(), 16);
    constants_.resize(offset + size);
    __builtin_memcpy(constants_.data() + offset, data, size);
    constant_offsets_[storage] = offset;
    return view(storage);
}

View Planner::table(uint64_t size) {
    const uint32_t storage = plugin::add_storage(region_, size);
    table_offsets_[storage] = table_bytes_;
    table_bytes_ += align_up(size, 16);
    return view(storage);
}

Matrix Planner::matrix(uint32_t tensor) {
    const Tensor t = region_.tensors[tensor];
    Matrix m;
    m.view = view(tensor);
    m.type = plane_type(t.dtype);
    if (!m.type) return m;
    if (t.role == RZ_ROLE_WEIGHT) {
        const uint64_t key = region_.tensors[t.storage].key;
        m.fixed = weights_->planes(key, t);
        m.half = weights_->half_rows(key, t);
        return m;
    }
    const uint64_t blocks = uint64_t{m.view.max_rows()} * m.view.max_inner() / 32 / m.type->groups;
    m.is_packed = true;
    m.layout = PlaneLayout(*m.type, blocks);
    m.packed = scratch(m.layout.bytes);
    add(std::make_unique<PackStep>(m));
    return m;
}

const View *Planner::find_shared(const std::string &what) const {
    const auto found = shared_.find(what);
    return fuse_ && found != shared_.end() ? &found->second : nullptr;
}

const Norm *Planner::find_norm(uint32_t tensor) const {
    const auto found = norms_.find(tensor);
    return found == norms_.end() ? nullptr : &found->second;
}

const Glu *Planner::find_glu(uint32_t tensor) const {
    const auto found = glus_.find(tensor);
    return found == glus_.end() ? nullptr : &found->second;
}

bool Planner::only_matrices_take(uint32_t tensor) const {
    const auto &outputs = region_.outputs;
    if (std::find(outputs.begin(), outputs.end(), tensor) != outputs.end()) return false;
    const auto takes = [&](const Node &node) {
        bool takes_it = false;
        plugin::for_inputs(region_, node, [&](uint32_t input) {
            takes_it = takes_it || region_.tensors[input].storage == tensor;
        });
        return takes_it;
    };
    return std::all_of(region_.nodes.begin(), region_.nodes.end(), [&](const Node &node) {
        return !takes(node) || (node.op == RZ_OP_MATMUL && node.inputs[1] == tensor &&
                                plane_type(region_.input(node, 0).dtype));
    });
}

void Planner::add(std::unique_ptr<Step> step) {
    if (not_single_) step = std::make_unique<UnlessSingle>(*not_single_, std::move(step));
    steps_.push_back(std::move(step));
}

void Planner::share(const std::string &what, const View &view) { shared_[what] = view; }

} // namespace realizar::vulkan
