// ADD, MUL, SCALE, UNARY, GLU.
#include "plugins/vulkan/ops/op.h"

namespace realizar::vulkan {

namespace {

class ElementwiseStep : public Step {
  public:
    ElementwiseStep(uint32_t operation, const View &a, const View *b, const View &y, float scale,
                    float bias)
        : operation_(operation), a_(a), y_(y), scale_(scale), bias_(bias) {
        reads(a);
        if (b) {
            b_ = *b;
            has_b_ = true;
            reads(*b);
        }
        writes(y);
    }

    void record(Recorder &r) const override {
        const uint32_t inner = a_.inner(r.symbols), total = a_.rows(r.symbols) * inner;
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
};

constexpr uint32_t kAdd = 0, kMul = 1, kScale = 2, kUnary = 16, kGlu = 32;

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
    default:
        operation =
            (node.op == RZ_OP_GLU ? kGlu : kUnary) + attributes_of<rz_attr_unary>(node).kind;
    }
    View b;
    const bool has_b = node.inputs.size() > 1;
    if (has_b) b = planner.view(node.inputs[1]);
    planner.add(std::make_unique<ElementwiseStep>(operation, planner.view(node.inputs[0]),
                                                  has_b ? &b : nullptr,
                                                  planner.view(node.outputs[0]), scale, bias));
}

} // namespace realizar::vulkan
