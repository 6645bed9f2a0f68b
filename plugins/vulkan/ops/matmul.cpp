// MATMUL, alone or with an addend: a bias [N] or a tensor like the result.
#include "plugins/vulkan/ops/matmul_coopmat.h"
#include "plugins/vulkan/ops/matmul_single.h"
#include "plugins/vulkan/ops/op.h"
#include "plugins/vulkan/plan/choose.h"

#include <algorithm>
#include <optional>

namespace realizar::vulkan {

namespace {

// Vectors of x in 8 bits (QuantizeParams), and behind all of them scales and sums.
struct Quantised {
    View memory;
    uint64_t scales; // offset in `memory`
};

class QuantizeStep : public Step {
  public:
    // `norm`, `glu`: how x is made, if this step makes it; at most one.
    QuantizeStep(const PlaneType *type, const View &x, const Norm *norm, const Glu *glu,
                 const Quantised &out)
        : type_(type), x_(x), source_view_(x), out_(out) {
        if (norm) {
            source_view_ = norm->x;
            other_ = norm->weight;
            source_ = kNorm;
            epsilon_ = norm->epsilon;
        } else if (glu) {
            source_view_ = glu->a;
            other_ = glu->b;
            source_ = kGlu + glu->kind;
        }
        reads(source_view_);
        if (other_) reads(*other_);
        writes(out.memory);
    }

    void record(Recorder &r) const override {
        const View &x = source_view_;
        const uint32_t rows = x.rows(r.symbols), inner = x.max_inner();
        if (runs_single(x_, r.symbols)) return;
        if (choose_matmul(r.features(), type_->dtype, inner, rows) != MatmulForm::matvec) return;
        const uint64_t base = r.address(out_.memory);
        Rows other = {};
        if (other_)
            other = source_ == kNorm ? Rows{r.address(*other_), 0, 0, 0, 0} : r.rows(*other_);
        const QuantizeParams p = {r.rows(x), other, base,    base + out_.scales, x.n1(), x.n2(),
                                  inner,     rows,  epsilon_};
        const bool wide = wide_rows(p.x) && wide_rows(p.other);
        r.dispatch("quantize", {source_, wide ? 1u : 0u}, p, {rows});
    }

  private:
    static constexpr uint32_t kNorm = 1, kGlu = 32; // of the shader
    static bool wide_rows(const Rows &rows) {
        return rows.base % 16 == 0 && (rows.s0 | rows.s1 | rows.s2) % 4 == 0;
    }

    const PlaneType *type_;
    View x_, source_view_;
    std::optional<View> other_;
    uint32_t source_ = 0;
    float epsilon_ = 0;
    Quantised out_;
};

constexpr uint32_t kTeams = 8; // of a workgroup of matvec_quant.comp

// Rows of w for a team: two, to read each vector once for both, where there are many vectors and enough
// rows for all cores; with few vectors one row is faster.
uint32_t choose_team_rows(uint32_t n, uint32_t vectors, uint32_t cores) {
    constexpr uint32_t kMany = 6, kGroupsOfCore = 2;
    return vectors >= kMany && n / (2 * kTeams) * 16 >= kGroupsOfCore * cores * 15 ? 2 : 1;
}

class MatmulStep : public Step {
  public:
    MatmulStep(const Matrix &w, const View &x, std::optional<Quantised> quantised,
               std::optional<HalfRows> half, const Norm *norm, std::optional<View> add,
               const View &y)
        : w_(w), x_(x), quantised_(quantised), single_(w, x, norm), half_(half), add_(add), y_(y) {
        w.add_reads(*this);
        reads(x);
        if (quantised) reads(quantised->memory);
        if (w.type) single_.add_reads(*this);
        if (half) reads(half->memory);
        if (add) {
            reads(*add);
            if (add->max_rows() > 1) add->uniform(add_stride_);
        }
        writes(y);
    }

    void record(Recorder &r) const override {
        const uint32_t rows = x_.rows(r.symbols), n = y_.max_inner(), k = x_.max_inner();
        if (rows == 0) return;
        const uint64_t add = add_ ? r.address(*add_) : 0;
        if (w_.type && runs_single(x_, r.symbols)) return single_.dispatch(r, y_, add);
        const MatmulForm form = choose_matmul(r.features(), w_.view.dtype(), k, rows);
        const std::string suffix = w_.type ? w_.type->suffix : "plain";
        if (form == MatmulForm::matvec && w_.type) {
            const uint64_t base = r.address(quantised_->memory);
            const MatvecQuantParams p = {w_.resolve(r), base,       base + quantised_->scales,
                                         r.address(y_), add,        n,
                                         rows,          add_stride_};
            const uint32_t of_team = choose_team_rows(n, rows, r.cores());
            const uint32_t of_group = kTeams * of_team;
            r.dispatch("matvec_" + suffix + (r.features().int_dot ? "_dot" : ""), {rows, of_team},
                       p,
                       {even_groups((n + of_group - 1) / of_group,
                                    r.tuning().matvec_several * r.cores())});
            return;
        }
        if (form == MatmulForm::coopmat &&
            record_matmul_coopmat(r, {w_, *half_, r.address(y_), add, k, n, rows, add_stride_}))
            return;
        const MatmulParams p = {w_.resolve(r), r.rows(x_), r.address(y_), add,        k, n,
                                x_.n1(),       x_.n2(),    rows,          add_stride_};
        if (form == MatmulForm::matvec)
            r.dispatch("matvec_plain", {rows, w_.view.dtype()}, p, {groups_for(n, kRowsOfGroup)});
        else
            r.dispatch("matmul_tile_" + suffix, {w_.type ? 0u : w_.view.dtype()}, p,
                       {(n + kTileN - 1) / kTileN, groups_for(rows, kTileT)});
    }

  private:
    // Of the shaders: rows of w for a workgroup; results of a tile.
    static constexpr uint32_t kRowsOfGroup = 4, kTileN = 64, kTileT = 32;

    Matrix w_;
    View x_;
    std::optional<Quantised> quantised_;
    Single single_;
    std::optional<HalfRows> half_;
    std::optional<View> add_;
    View y_;
    uint32_t add_stride_ = 0;
};

// x in 8 bits, made once for all matrices that take it.
Quantised quantise(Planner &planner, const PlaneType *type, uint32_t tensor) {
    const View x = planner.view(tensor);
    const uint64_t rows = std::min(x.max_rows(), kMatvecRows);
    const uint64_t scales = align_up(rows * x.max_inner(), 16);
    const std::string what = "int8 " + std::to_string(tensor);
    const bool constant = planner.region().tensors[tensor].role != RZ_ROLE_STATE;
    if (const View *shared = planner.find_shared(what); shared && constant)
        return {*shared, scales};
    const Quantised result = {planner.scratch(scales + rows * x.max_inner() / 4), scales};
    planner.add(std::make_unique<QuantizeStep>(type, x, planner.find_norm(tensor),
                                               planner.find_glu(tensor), result));
    planner.share(what, result.memory);
    return result;
}

void plan(Planner &planner, const Node &node, std::optional<View> add, uint32_t out) {
    const Matrix w = planner.matrix(node.inputs[0]);
    std::optional<Quantised> quantised;
    if (w.type) quantised = quantise(planner, w.type, node.inputs[1]);
    const std::optional<HalfRows> half = plan_half_rows(planner, w, node.inputs[1]);
    planner.add(std::make_unique<MatmulStep>(w, planner.view(node.inputs[1]), quantised, half,
                                             planner.find_norm(node.inputs[1]), add,
                                             planner.view(out)));
}

} // namespace

void plan_matmul(Planner &planner, const Node &node) {
    plan(planner, node, std::nullopt, node.outputs[0]);
}

void plan_matmul_add(Planner &planner, const Node &matmul, uint32_t addend, uint32_t out) {
    plan(planner, matmul, planner.view(addend), out);
}

} // namespace realizar::vulkan
