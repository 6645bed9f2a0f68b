#include "plugins/opencl/plan/planner.h"

#include "plugins/common/scratch.h"
#include "plugins/common/uses.h"

#include <algorithm>

namespace realizar::opencl {

Planes Matrix::planes(const Recorder &r) const {
    if (type && !is_packed) return fixed;
    Planes planes = {};
    if (is_packed) {
        planes = planes_at(*type, layout, r.at(packed), 0);
        planes.groups = view.max_inner() / 32;
        planes.stride = planes.groups;
    } else {
        planes.plane[0] = r.at(view);
        planes.stride = view.stride(2);
    }
    return planes;
}

std::string Matrix::option() const {
    return type ? type->option : "-DTYPE=" + std::to_string(view.dtype());
}

bool Matrix::is_before(const Matrix &b, uint64_t n) const {
    if (!type || type != b.type || source == RZ_NONE || source != b.source ||
        fixed.stride != b.fixed.stride || fixed.groups != b.fixed.groups)
        return false;
    const uint64_t blocks = n * fixed.stride / type->groups;
    for (uint32_t p = 0; p < 4; ++p)
        if (fixed.plane[p] + blocks * type->plane_bytes[p] != b.fixed.plane[p]) return false;
    return true;
}

std::optional<View> Planner::optional_view(const Node &node, size_t input) const {
    if (!region_.has_input(node, input)) return std::nullopt;
    return view(node.inputs[input]);
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

Matrix Planner::matrix(uint32_t tensor) {
    const Tensor t = region_.tensors[tensor];
    Matrix m;
    m.view = view(tensor);
    m.type = plane_type(t.dtype);
    if (!m.type) return m;
    if (t.role == RZ_ROLE_WEIGHT) {
        const uint64_t key = region_.tensors[t.storage].key;
        m.fixed = weights_->planes(key, t);
        m.source = weights_->weights.at(key).matrix;
        return m;
    }
    // A quantised operand that is no weight is packed by each submission.
    const uint64_t blocks = static_cast<uint64_t>(t.dims[0] * t.inner()) / 32 / m.type->groups;
    m.is_packed = true;
    m.layout = PlaneLayout(*m.type, blocks);
    m.packed = scratch(m.layout.bytes);
    add({{m.view, m.packed}, [m](Recorder &r) {
             const Planes planes = m.planes(r);
             const uint32_t rows = m.view.rows(r.symbols);
             PackParams p = {r.at(m.view), {}, m.view.stride(2), planes.groups / m.type->groups,
                             rows,         0};
             std::copy_n(planes.plane, 4, p.plane);
             r.launch("pack", m.type->option, p, {r.buffer(m.view), r.buffer(m.packed)},
                      {groups_for(uint64_t{rows} * planes.groups, 64)});
         }});
    return m;
}

const View *Planner::find_shared(const std::string &what) const {
    const auto found = shared_.find(what);
    return fuse_ && found != shared_.end() ? &found->second : nullptr;
}

bool Planner::fits_single(const View &x) const {
    // Of kernels/single.h: 40 bytes of local memory for each group, and sums.
    constexpr uint32_t kGroup = 40, kOther = 2304;
    const uint32_t groups = x.max_inner() / 32;
    return groups > 0 && groups <= (features_.local_bytes - kOther) / kGroup &&
           x.dtype() == RZ_DTYPE_F32 && x.offset() % 16 == 0;
}

const FoldedNorm *Planner::find_norm(uint32_t tensor) const {
    const auto found = norms_.find(tensor);
    return found != norms_.end() ? &found->second : nullptr;
}

void Planner::add(Step step) {
    if (not_single_)
        step.record = [x = *not_single_, record = std::move(step.record)](Recorder &r) {
            if (x.rows(r.symbols) != 1) record(r);
        };
    steps_.push_back(std::move(step));
}

Quantised Planner::quantised(uint32_t tensor) {
    const View x = view(tensor);
    const uint64_t rows = std::min(x.max_rows(), kMatvecRows);
    Quantised out;
    out.scales = align_up(rows * x.max_inner(), 16);
    const std::string what = "int8 " + std::to_string(tensor);
    if (const View *shared = find_shared(what);
        shared && region_.tensors[tensor].role != RZ_ROLE_STATE) {
        out.memory = *shared;
        return out;
    }
    out.memory = scratch(out.scales + rows * x.max_inner() / 4);
    Maker maker = {{x}, [x](Recorder &r, const Quantised &q) {
                       const uint32_t inner = x.max_inner(), count = x.rows(r.symbols);
                       const uint64_t at = r.at(q.memory);
                       const QuantizeParams p = {
                           r.rows(x), {}, at, at + q.scales, x.n1(), x.n2(), inner, count, 0, 0};
                       r.launch("quantize", "", p, {r.buffer(x), r.buffer(x), r.buffer(q.memory)},
                                {groups_for(uint64_t{count} * inner / 4, 256)});
                   }};
    if (const auto found = makers_.find(tensor); found != makers_.end()) maker = found->second;
    maker.touches.push_back(out.memory);
    const bool single = fits_single(x);
    add({maker.touches, [x, out, single, launch = maker.launch](Recorder &r) {
             const uint32_t count = x.rows(r.symbols);
             if (count > (single ? 1u : 0u) && count <= kMatvecRows) launch(r, out);
         }});
    share(what, out.memory);
    return out;
}

std::optional<HalfRows> Planner::half_rows(uint32_t tensor) {
    const View x = view(tensor);
    if (!features_.mma || x.max_rows() <= kMatvecRows || x.max_inner() % 32 != 0)
        return std::nullopt;
    HalfRows out;
    out.scales = align_up(uint64_t{x.max_rows()} * x.max_inner() * 2, 16);
    const std::string what = "half " + std::to_string(tensor);
    if (const View *shared = find_shared(what);
        shared && region_.tensors[tensor].role != RZ_ROLE_STATE) {
        out.memory = *shared;
        return out;
    }
    out.memory = scratch(out.scales + uint64_t{x.max_rows()} * sizeof(float));
    add({{x, out.memory}, [=](Recorder &r) {
             const uint32_t count = x.rows(r.symbols);
             if (count <= kMatvecRows) return;
             const uint64_t at = r.at(out.memory);
             const HalfRowsParams p = {r.rows(x),     at,   at + out.scales, x.n1(), x.n2(),
                                       x.max_inner(), count};
             r.launch("half_rows", "", p, {r.buffer(x), r.buffer(out.memory)},
                      {groups_for(count, 1)});
         }});
    share(what, out.memory);
    return out;
}

bool Planner::only_taken_quantised(uint32_t tensor) const {
    const Tensor &t = region_.tensors[tensor];
    const auto &outputs = region_.outputs;
    if (!fuse_ || t.role != RZ_ROLE_TEMP || t.is_view(tensor) || t.inner() % 32 != 0 ||
        std::find(outputs.begin(), outputs.end(), tensor) != outputs.end())
        return false;
    return std::all_of(region_.nodes.begin(), region_.nodes.end(), [&](const Node &node) {
        bool taken = false;
        plugin::for_inputs(region_, node, [&](uint32_t input) {
            taken = taken || region_.tensors[input].storage == tensor;
        });
        return !taken || (node.op == RZ_OP_MATMUL && node.inputs[1] == tensor &&
                          plane_type(region_.input(node, 0).dtype));
    });
}

} // namespace realizar::opencl
