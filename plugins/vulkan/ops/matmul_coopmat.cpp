#include "plugins/vulkan/ops/matmul_coopmat.h"

#include "plugins/vulkan/half_weights.h"
#include "plugins/vulkan/ops/op.h"
#include "plugins/vulkan/plan/choose.h"

namespace realizar::vulkan {

namespace {

constexpr uint32_t kDepth = kHalfDepth; // of the shaders

class HalfRowsStep : public Step {
  public:
    // `norm`, `glu`: how x is made, if this step makes it; at most one.
    HalfRowsStep(const View &w, const View &x, const Norm *norm, const Glu *glu,
                 const HalfRows &out)
        : w_(w), x_(x), out_(out) {
        if (norm) {
            x_ = norm->x;
            other_ = norm->weight;
            source_ = kNorm;
            epsilon_ = norm->epsilon;
        } else if (glu) {
            x_ = glu->a;
            other_ = glu->b;
            source_ = kGlu + glu->kind;
        }
        reads(x_);
        if (other_) reads(*other_);
        writes(out.memory);
    }

    void record(Recorder &r) const override {
        const uint32_t rows = x_.rows(r.symbols), inner = x_.max_inner();
        if (choose_matmul(r.features(), w_.dtype(), inner, rows) != MatmulForm::coopmat) return;
        const uint64_t y = r.address(out_.memory);
        Rows other = {};
        if (other_)
            other = source_ == kNorm ? Rows{r.address(*other_), 0, 0, 0, 0} : r.rows(*other_);
        const HalfRowsParams p = {r.rows(x_), other, y,    y + out_.scales, x_.n1(),
                                  x_.n2(),    inner, rows, out_.stride,     epsilon_};
        const bool wide = in_fours(p.x, inner) && in_fours(p.other, inner);
        r.dispatch("half_rows", {source_, wide ? 1u : 0u}, p, {groups_for(rows, 1)});
    }

  private:
    static constexpr uint32_t kNorm = 1, kGlu = 32; // of the shader

    View w_, x_;
    std::optional<View> other_;
    uint32_t source_ = 0;
    float epsilon_ = 0;
    HalfRows out_;
};

} // namespace

std::optional<HalfRows> plan_half_rows(Planner &planner, const Matrix &w, uint32_t tensor) {
    const View x = planner.view(tensor);
    const uint64_t rows = align_up(x.max_rows(), kHalfTile), inner = x.max_inner();
    const auto most = static_cast<uint32_t>(x.max_rows());
    if (choose_matmul(planner.features(), w.view.dtype(), x.max_inner(), most) !=
        MatmulForm::coopmat)
        return std::nullopt;
    HalfRows result;
    result.stride = static_cast<uint32_t>(align_up(inner, kDepth));
    result.scales = rows * result.stride * 2;
    const std::string what = "half " + std::to_string(tensor);
    const bool constant = planner.region().tensors[tensor].role != RZ_ROLE_STATE;
    if (const View *shared = planner.find_shared(what); shared && constant) {
        result.memory = *shared;
        return result;
    }
    result.memory = planner.scratch(result.scales + rows * 4);
    planner.add(std::make_unique<HalfRowsStep>(w.view, x, planner.find_norm(tensor),
                                               planner.find_glu(tensor), result));
    planner.share(what, result.memory);
    return result;
}

namespace {

// Address of w's rows in F16 as the kernels for that want them; 0: they are not there.
uint64_t find_half(const Recorder &r, const CoopmatMatmul &matmul, const Planes &w) {
    if (!r.features().coopmat_nv) return 0;
    if (matmul.w.half || matmul.w.type) return matmul.w.half;
    const bool fits = matmul.w.view.dtype() == RZ_DTYPE_F16 && w.plane[0] % 16 == 0 &&
                      w.stride == matmul.x.stride && matmul.n % kHalfTile == 0;
    return fits ? w.plane[0] : 0;
}

void record_half(Recorder &r, const CoopmatMatmul &matmul, uint64_t w) {
    const uint64_t x = r.address(matmul.x.memory);
    const MatmulHalfParams p = {w,          x,        x + matmul.x.scales, matmul.y,
                                matmul.add, matmul.n, matmul.rows,         matmul.add_stride};
    const HalfTile &tile = choose_half_tile(r.cores(), matmul.n, matmul.rows);
    const bool wide = (p.n | p.add_stride) % 4 == 0 && (p.y | p.add) % 16 == 0;
    const uint32_t stride = matmul.x.stride;
    r.dispatch(tile.shader, {stride, tile.block(stride), wide ? 1u : 0u}, p,
               {groups_for(matmul.rows, tile.t), groups_for(matmul.n, tile.n)});
}

// Without cooperative matrices.
void record_plain(Recorder &r, const CoopmatMatmul &matmul, MatmulCoopmatParams p) {
    if (matmul.w.half) {
        p.w.plane[0] = matmul.w.half;
        p.w.stride = p.x_stride;
    }
    const bool half = matmul.w.half || !matmul.w.type;
    r.dispatch(std::string("matmul_half_plain_") + (half ? "f16" : matmul.w.type->suffix), {}, p,
               {groups_for(p.n, 16), groups_for(p.rows, 16)});
}

} // namespace

bool record_matmul_coopmat(Recorder &r, const CoopmatMatmul &matmul) {
    const Planes w = matmul.w.resolve(r);
    const uint64_t x = r.address(matmul.x.memory);
    const MatmulCoopmatParams p = {
        w,        x,        x + matmul.x.scales, matmul.y,          matmul.add,
        matmul.k, matmul.n, matmul.rows,         matmul.add_stride, matmul.x.stride};
    if (!r.features().coopmat_khr) {
        record_plain(r, matmul, p);
        return true;
    }
    if (const uint64_t half = find_half(r, matmul, w)) {
        record_half(r, matmul, half);
        return true;
    }
    if (!matmul.w.type && (w.stride % 8 != 0 || w.plane[0] % 16 != 0)) return false;
    const uint32_t tile = choose_coopmat_tile(matmul.n, matmul.rows);
    const std::string suffix = matmul.w.type ? matmul.w.type->suffix : "f16";
    r.dispatch("matmul_coopmat_" + suffix + "_" + std::to_string(tile), {}, p,
               {groups_for(matmul.n, tile), groups_for(matmul.rows, tile)});
    return true;
}

} // namespace realizar::vulkan
