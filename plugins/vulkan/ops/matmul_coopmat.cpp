#include "plugins/vulkan/ops/matmul_coopmat.h"

#include "plugins/vulkan/plan/choose.h"

namespace realizar::vulkan {

namespace {

constexpr uint32_t kDepth = 64; // of the shader

class HalfRowsStep : public Step {
  public:
    HalfRowsStep(const View &w, const View &x, const HalfRows &out) : w_(w), x_(x), out_(out) {
        reads(x);
        writes(out.memory);
    }

    void record(Recorder &r) const override {
        const uint32_t rows = x_.rows(r.symbols), inner = x_.max_inner();
        if (choose_matmul(r.features(), w_.dtype(), inner, rows) != MatmulForm::coopmat) return;
        const uint64_t y = r.address(out_.memory);
        const HalfRowsParams p = {r.rows(x_), y,    y + out_.scales, x_.n1(), x_.n2(),
                                  inner,      rows, out_.stride};
        r.dispatch("half_rows", {}, p, {groups_for(rows, 1)});
    }

  private:
    View w_, x_;
    HalfRows out_;
};

} // namespace

std::optional<HalfRows> plan_half_rows(Planner &planner, const Matrix &w, uint32_t tensor) {
    const View x = planner.view(tensor);
    const uint64_t rows = x.max_rows(), inner = x.max_inner();
    const auto most = static_cast<uint32_t>(rows);
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
    planner.add(std::make_unique<HalfRowsStep>(w.view, x, result));
    planner.share(what, result.memory);
    return result;
}

bool record_matmul_coopmat(Recorder &r, const CoopmatMatmul &matmul) {
    const Planes w = matmul.w.resolve(r);
    if (!matmul.w.type && (w.stride % 8 != 0 || w.plane[0] % 16 != 0)) return false;
    const uint64_t x = r.address(matmul.x.memory);
    const MatmulCoopmatParams p = {
        w,        x,        x + matmul.x.scales, matmul.y,          matmul.add,
        matmul.k, matmul.n, matmul.rows,         matmul.add_stride, matmul.x.stride};
    const uint32_t tile = choose_coopmat_tile(matmul.n, matmul.rows);
    const std::string suffix = matmul.w.type ? matmul.w.type->suffix : "f16";
    r.dispatch("matmul_coopmat_" + suffix + "_" + std::to_string(tile), {}, p,
               {groups_for(matmul.n, tile), groups_for(matmul.rows, tile)});
    return true;
}

} // namespace realizar::vulkan
