// SSM_CONV and SSM_SCAN: rows in order, channels and heads side by side.
#include "plugins/cpu/ops/op.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace realizar::cpu {

namespace {

// e^x to 2 units in the last place, in a form that compilers turn into vectors: x = n ln 2 + r with
// |r| <= ln 2 / 2, ln 2 in two parts, and the Taylor series of e^r to the sixth power.
inline float exponential(float x) {
    x = std::min(88.0f, std::max(-87.0f, x)); // NaN becomes a number
    constexpr float kRound = 12582912.0f;     // 1.5 * 2^23: its sum holds a whole number
    const float n = (x * 1.44269504f + kRound) - kRound;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float y = 1.0f / 720;
    y = y * r + 1.0f / 120;
    y = y * r + 1.0f / 24;
    y = y * r + 1.0f / 6;
    y = y * r + 0.5f;
    y = y * r + 1.0f;
    y = y * r + 1.0f;
    const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
    float power;
    std::memcpy(&power, &bits, sizeof power);
    return y * power;
}

float softplus(float x) { return x > 20 ? x : std::log1p(std::exp(x)); }

// Where the rows of a submission belong.
class Places {
  public:
    Places(const Planner &planner, const Node &node, size_t first, Step &step)
        : positions_(planner.view(node.inputs[first])),
          sequences_(planner.view(node.inputs[first + 1])) {
        step.reads(positions_, false);
        step.reads(sequences_, false);
    }
    bool begins(const Run &run, int64_t t) const { return positions_.row<int32_t>(run, 0)[t] == 0; }
    // -1: none of `count`.
    int64_t sequence(const Run &run, int64_t t, int64_t count) const {
        const int64_t s = sequences_.row<int32_t>(run, 0)[t];
        return s >= 0 && s < count ? s : -1;
    }

  private:
    View positions_, sequences_;
};

// Tiles are runs of channels.
class ConvStep : public Step {
  public:
    ConvStep(const Planner &planner, const Node &node)
        : state_(planner.view(node.inputs[0])), x_(planner.view(node.inputs[1])),
          weight_(planner.view(node.inputs[2])), y_(planner.view(node.outputs[1])),
          places_(planner, node, 3, *this), taps_(weight_.max_elements()),
          has_bias_(planner.region().has_input(node, 5)) {
        if (has_bias_) {
            bias_ = planner.view(node.inputs[5]);
            reads(bias_, false);
        }
        reads(x_, false);
        reads(weight_, false);
        writes(state_, false);
        writes(y_, false);
    }

    uint64_t tiles(const Run &run) const override {
        return static_cast<uint64_t>((x_.elements(run) + kChannels - 1) / kChannels);
    }
    uint64_t cost(const Run &run) const override {
        return static_cast<uint64_t>(x_.steps(run) * x_.elements(run) * taps_);
    }
    void run(const Run &run, uint64_t begin, uint64_t end, unsigned) const override {
        const int64_t first = static_cast<int64_t>(begin) * kChannels;
        const int64_t last = std::min(static_cast<int64_t>(end) * kChannels, x_.elements(run));
        for (int64_t t = 0; t < x_.steps(run); ++t)
            run_token(run, t, first, last);
    }

  private:
    static constexpr int64_t kChannels = 64;

    void run_token(const Run &run, int64_t t, int64_t first, int64_t last) const {
        float *y = y_.row(run, t);
        const auto bytes = static_cast<size_t>(last - first) * sizeof(float);
        const int64_t s = places_.sequence(run, t, state_.steps(run));
        if (s < 0) {
            std::memset(y + first, 0, bytes);
            return;
        }
        const float *x = x_.row(run, t);
        if (places_.begins(run, t))
            for (int64_t i = 0; i + 1 < taps_; ++i)
                std::memset(state_.row(run, s, i) + first, 0, bytes);
        for (int64_t d = first; d < last; ++d) {
            const float *w = weight_.row(run, d);
            float sum = (has_bias_ ? bias_.row(run, 0)[d] : 0.0f) + w[taps_ - 1] * x[d];
            for (int64_t i = 0; i + 1 < taps_; ++i)
                sum += w[i] * state_.row(run, s, i)[d];
            y[d] = sum;
        }
        for (int64_t i = 0; i + 2 < taps_; ++i)
            std::memcpy(state_.row(run, s, i) + first, state_.row(run, s, i + 1) + first, bytes);
        std::memcpy(state_.row(run, s, taps_ - 2) + first, x + first, bytes);
    }

    View state_, x_, weight_, y_, bias_;
    Places places_;
    int64_t taps_;
    bool has_bias_;
};

// Tiles are runs of heads.
class ScanStep : public Step {
  public:
    ScanStep(const Planner &planner, const Node &node)
        : state_(planner.view(node.inputs[0])), x_(planner.view(node.inputs[1])),
          dt_(planner.view(node.inputs[2])), a_(planner.view(node.inputs[3])),
          b_(planner.view(node.inputs[4])), c_(planner.view(node.inputs[5])),
          y_(planner.view(node.outputs[1])), places_(planner, node, 6, *this), heads_(x_.rows()),
          width_(x_.max_elements()), size_(state_.max_elements()),
          has_skip_(planner.region().has_input(node, 8)) {
        if (has_skip_) {
            skip_ = planner.view(node.inputs[8]);
            reads(skip_, false);
        }
        for (const View *view : {&x_, &dt_, &a_, &b_, &c_})
            reads(*view, false);
        writes(state_, false);
        writes(y_, false);
        worker_bytes = align_up(static_cast<uint64_t>(size_) * sizeof(float));
    }

    uint64_t tiles(const Run &) const override {
        return static_cast<uint64_t>((heads_ + kHeads - 1) / kHeads);
    }
    uint64_t cost(const Run &run) const override {
        return static_cast<uint64_t>(x_.steps(run) * heads_ * width_ * size_) * 2;
    }
    void run(const Run &run, uint64_t begin, uint64_t end, unsigned worker) const override {
        const int64_t first = static_cast<int64_t>(begin) * kHeads;
        const int64_t last = std::min(static_cast<int64_t>(end) * kHeads, heads_);
        auto *decay = reinterpret_cast<float *>(run.scratch + worker * run.worker_bytes);
        for (int64_t t = 0; t < x_.steps(run); ++t) {
            const int64_t s = places_.sequence(run, t, state_.steps(run));
            for (int64_t h = first; h < last; ++h)
                run_head(run, t, s, h, decay);
        }
    }

  private:
    static constexpr int64_t kHeads = 16;

    void run_head(const Run &run, int64_t t, int64_t s, int64_t h, float *decay) const {
        float *y = y_.row(run, t, h);
        if (s < 0) {
            std::memset(y, 0, static_cast<size_t>(width_) * sizeof(float));
            return;
        }
        const float *x = x_.row(run, t, h);
        const float delta = softplus(dt_.row(run, t)[h]);
        const int64_t group = h / (heads_ / b_.rows());
        const float *b = b_.row(run, t, group), *c = c_.row(run, t, group);
        const float *rate = a_.row(run, h);
        const bool one_rate = a_.max_elements() == 1, fresh = places_.begins(run, t);
        if (one_rate)
            std::fill_n(decay, size_, exponential(delta * rate[0]));
        else
            for (int64_t n = 0; n < size_; ++n)
                decay[n] = exponential(delta * rate[n]);
        for (int64_t p = 0; p < width_; ++p) {
            float *state = state_.row(run, s, h * width_ + p);
            if (fresh) std::memset(state, 0, static_cast<size_t>(size_) * sizeof(float));
            const float gain = delta * x[p];
            for (int64_t n = 0; n < size_; ++n)
                state[n] = decay[n] * state[n] + gain * b[n];
            float sum = has_skip_ ? skip_.row(run, 0)[h] * x[p] : 0.0f;
            for (int64_t n = 0; n < size_; ++n)
                sum += state[n] * c[n];
            y[p] = sum;
        }
    }

    View state_, x_, dt_, a_, b_, c_, y_, skip_;
    Places places_;
    int64_t heads_, width_, size_;
    bool has_skip_;
};

void plan_conv(Planner &planner, const Node &node) {
    planner.add(std::make_unique<ConvStep>(planner, node));
}

void plan_scan(Planner &planner, const Node &node) {
    planner.add(std::make_unique<ScanStep>(planner, node));
}

} // namespace

// In place: the state is both an input and an output.
const Op kSsmConv = {RZ_OP_SSM_CONV, true, plan_conv};
const Op kSsmScan = {RZ_OP_SSM_SCAN, true, plan_scan};

} // namespace realizar::cpu
