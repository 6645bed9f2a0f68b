// SSM_CONV and SSM_SCAN: rows in order, channels and heads side by side.
#include "plugins/vulkan/ops/op.h"

#include <optional>

namespace realizar::vulkan {

namespace {

std::optional<View> optional_view(const Planner &planner, const Node &node, size_t i) {
    if (!planner.region().has_input(node, i)) return std::nullopt;
    return planner.view(node.inputs[i]);
}

class ConvStep : public Step {
  public:
    ConvStep(const Planner &planner, const Node &node)
        : state_(planner.view(node.inputs[0])), x_(planner.view(node.inputs[1])),
          weight_(planner.view(node.inputs[2])), positions_(planner.view(node.inputs[3])),
          sequences_(planner.view(node.inputs[4])), bias_(optional_view(planner, node, 5)),
          y_(planner.view(node.outputs[1])) {
        for (const View *view : {&x_, &weight_, &positions_, &sequences_})
            reads(*view);
        if (bias_) reads(*bias_);
        writes(state_);
        writes(y_);
    }

    void record(Recorder &r) const override {
        const uint32_t channels = x_.max_inner();
        const SsmConvParams p = {
            .state = r.address(state_),
            .x = r.address(x_),
            .weight = r.address(weight_),
            .y = r.address(y_),
            .positions = r.address(positions_),
            .sequences = r.address(sequences_),
            .bias = bias_ ? r.address(*bias_) : 0,
            .tokens = x_.rows(r.symbols),
            .channels = channels,
            .taps = weight_.max_inner(),
            .states = state_.max_size(1),
            .state_stride = state_.stride(1),
            .tap_stride = state_.stride(2),
            .x_stride = x_.stride(2),
            .w_stride = weight_.stride(2),
        };
        if (p.tokens > 0) r.dispatch("ssm_conv", {}, p, {groups_for(channels, 64)});
    }

  private:
    View state_, x_, weight_, positions_, sequences_;
    std::optional<View> bias_;
    View y_;
};

class ScanStep : public Step {
  public:
    ScanStep(const Planner &planner, const Node &node)
        : state_(planner.view(node.inputs[0])), x_(planner.view(node.inputs[1])),
          dt_(planner.view(node.inputs[2])), a_(planner.view(node.inputs[3])),
          b_(planner.view(node.inputs[4])), c_(planner.view(node.inputs[5])),
          positions_(planner.view(node.inputs[6])), sequences_(planner.view(node.inputs[7])),
          skip_(optional_view(planner, node, 8)), y_(planner.view(node.outputs[1])) {
        for (const View *view : {&x_, &dt_, &a_, &b_, &c_, &positions_, &sequences_})
            reads(*view);
        if (skip_) reads(*skip_);
        writes(state_);
        writes(y_);
    }

    void record(Recorder &r) const override {
        constexpr uint32_t kTeams = 16; // of a workgroup, each with an element of a head
        const uint32_t heads = x_.n2(), width = x_.max_inner();
        const SsmScanParams p = {
            .state = r.address(state_),
            .x = r.address(x_),
            .dt = r.address(dt_),
            .a = r.address(a_),
            .b = r.address(b_),
            .c = r.address(c_),
            .positions = r.address(positions_),
            .sequences = r.address(sequences_),
            .d = skip_ ? r.address(*skip_) : 0,
            .y = r.address(y_),
            .tokens = x_.size(1, r.symbols),
        };
        if (p.tokens == 0) return;
        r.dispatch("ssm_scan",
                   {state_.max_size(0), heads, width, state_.max_inner(), heads / b_.n2(),
                    one_rate(), state_.stride(0), state_.stride(1), state_.stride(2), x_.stride(1),
                    x_.stride(2), dt_.stride(2), a_.stride(2), b_.stride(1), b_.stride(2),
                    c_.stride(1), c_.stride(2)},
                   p, {groups_for(uint64_t{heads} * width, kTeams)});
    }

  private:
    uint32_t one_rate() const { return a_.max_inner() == 1 ? 1 : 0; }

    View state_, x_, dt_, a_, b_, c_, positions_, sequences_;
    std::optional<View> skip_;
    View y_;
};

} // namespace

void plan_ssm_conv(Planner &planner, const Node &node) {
    planner.add(std::make_unique<ConvStep>(planner, node));
}

void plan_ssm_scan(Planner &planner, const Node &node) {
    planner.add(std::make_unique<ScanStep>(planner, node));
}

} // namespace realizar::vulkan
