// ADD, MUL, SCALE, UNARY, GLU, CLAMP.
#include "plugins/vulkan/ops/op.h"
#include "plugins/vulkan/plan/choose.h"

namespace realizar::vulkan {

namespace {

class ElementwiseStep : public Step {
  public:
    // `taken`: quantize.comp or half_rows.comp makes it where that runs.
    ElementwiseStep(uint32_t operation, const View &a, const View *b, const View &y, float scale,
                    float bias, bool taken)
        : operation_(operation), a_(a), y_(y), scale_(scale), bias_(bias), taken_(taken) {
        reads(a);
        if (b) {
            b_ = *b;
            has_b_ = true;
            reads(*b);
        }
        writes(y);
    }

    void record(Recorder &r) const override {
        const uint32_t inner = a_.inner(r.symbols), rows = a_.rows(r.symbols);
        const uint32_t total = rows * inner;
        const bool elsewhere =
            makes_bytes(rows) || makes_half_rows(r.features(), y_.max_inner(), rows);
        if (taken_ && elsewhere) return;
        const ElementwiseParams p = {r.rows(a_),    has_b_ ? r.rows(b_) : Rows{},
                                     r.address(y_), a_.n1(),
                                     a_.n2(),       inner,
                                     total,         scale_,
                                     bias_};
        r.dispatch("elementwise", {operation_}, p, {groups_for(total, 256)});
    }

  private:
    uint32_t operation_; // of elementwise.comp
    View a_, b_, y_;
    bool has_b_ = false;
    float scale_, bias_;
    bool taken_;
};

bool is_temporary(const Planner &planner, uint32_t tensor) {
    return planner.region().tensors[tensor].role == RZ_ROLE_TEMP;
}

constexpr uint32_t kAdd = 0, kMul = 1, kScale = 2, kClamp = 3, kUnary = 16, kGlu = 32;

} // namespace

void plan_elementwise(Planner &planner, const Node &node) {
    uint32_t operation = kAdd;
    float scale = 1, bias = 0;
    switch (node.op) {
    case RZ_OP_ADD: break;
    case RZ_OP_MUL: operation = kMul; break;
    case RZ_OP_SCALE:
        operation = kScale;
        scale = attributes_of<rz_attr_scale>(node).scale;
        bias = attributes_of<rz_attr_scale>(node).bias;
        break;
    case RZ_OP_CLAMP:
        operation = kClamp;
        scale = attributes_of<rz_attr_clamp>(node).low;
        bias = attributes_of<rz_attr_clamp>(node).high;
        break;
    default:
        operation =
            (node.op == RZ_OP_GLU ? kGlu : kUnary) + attributes_of<rz_attr_unary>(node).kind;
    }
    View b;
    const bool has_b = node.inputs.size() > 1;
    if (has_b) b = planner.view(node.inputs[1]);
    const View a = planner.view(node.inputs[0]), y = planner.view(node.outputs[0]);
    const bool taken =
        node.op == RZ_OP_GLU && planner.fuse() && is_temporary(planner, node.inputs[0]) &&
        is_temporary(planner, node.inputs[1]) && is_temporary(planner, node.outputs[0]) &&
        planner.only_matrices_take(node.outputs[0]);
    if (taken) planner.share_glu(node.outputs[0], {a, b, attributes_of<rz_attr_unary>(node).kind});
    planner.add(std::make_unique<ElementwiseStep>(operation, a, has_b ? &b : nullptr, y, scale,
                                                  bias, taken));
}

} // namespace realizar::vulkan
