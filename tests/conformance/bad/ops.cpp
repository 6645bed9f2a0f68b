// The operators, written as backend.h states them, over views of up to four dimensions.
#include "objects.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <thread>

namespace {

constexpr uint64_t kF32 = RZ_DTYPE_BIT(RZ_DTYPE_F32), kF16 = RZ_DTYPE_BIT(RZ_DTYPE_F16),
                   kQ8 = RZ_DTYPE_BIT(RZ_DTYPE_Q8_0);

constexpr rz_capability row(uint32_t op, uint64_t dtypes) {
    return {sizeof(rz_capability), 0, op, 1, dtypes};
}
constexpr rz_capability kRows[] = {
    row(RZ_OP_GET_ROWS, kF32),
    row(RZ_OP_MATMUL, kF32 | kF16),
    row(RZ_OP_ADD, kF32),
    row(RZ_OP_SCALE, kF32),
    row(RZ_OP_RMS_NORM, kF32),
    row(RZ_OP_ROPE, kF32),
    row(RZ_OP_KV_WRITE, kF32 | kF16),
    row(RZ_OP_ATTENTION, kF32 | kF16),
    row(RZ_OP_UNARY, kF32),
    row(RZ_OP_COPY, kF32 | kF16),
    row(RZ_OP_ARGMAX, kF32),
    row(RZ_OP_MATMUL, kF32 | kF16 | kQ8), // claims_too_much
};

// Every view has four dimensions; missing outer ones are 1.
struct View {
    uint8_t *data = nullptr;
    rz_dtype dtype = RZ_DTYPE_F32;
    int64_t dims[4] = {1, 1, 1, 1};
    int64_t strides[4] = {};

    int64_t rows() const { return dims[0] * dims[1] * dims[2]; }
    int64_t width() const { return dims[3]; }
    uint8_t *row(int64_t r) const {
        const int64_t c = r % dims[2], b = r / dims[2] % dims[1], a = r / dims[2] / dims[1];
        return data + a * strides[0] + b * strides[1] + c * strides[2];
    }
    float *f32(int64_t r) const { return reinterpret_cast<float *>(row(r)); }
    int32_t *i32(int64_t r) const { return reinterpret_cast<int32_t *>(row(r)); }
    float get(int64_t r, int64_t i) const {
        if (dtype == RZ_DTYPE_F32) return f32(r)[i];
        _Float16 half;
        std::memcpy(&half, row(r) + i * 2, 2);
        return static_cast<float>(half);
    }
    // Rounds to nearest even; the faulty copies cut instead.
    void set(int64_t r, int64_t i, float value, bool cut) const {
        if (dtype == RZ_DTYPE_F32) {
            f32(r)[i] = value;
            return;
        }
        auto half = static_cast<_Float16>(value);
        if (cut && std::fabs(static_cast<float>(half)) > std::fabs(value)) {
            uint16_t bits;
            std::memcpy(&bits, &half, 2);
            --bits;
            std::memcpy(&half, &bits, 2);
        }
        std::memcpy(row(r) + i * 2, &half, 2);
    }
};

class Node {
  public:
    Node(rz_instance &instance, const rz_node &node) : instance_(instance), node_(node) {}

    bool has_input(uint32_t i) const { return i < node_.input_count && node_.inputs[i] != RZ_NONE; }
    View in(uint32_t i) const { return view(node_.inputs[i]); }
    View out(uint32_t i = 0) const { return view(node_.outputs[i]); }
    template <class T>
    T attributes() const {
        T value{};
        std::memcpy(&value, node_.attributes,
                    std::min<uint64_t>(sizeof value, node_.attributes_size));
        return value;
    }

  private:
    View view(uint32_t index) const {
        const rz_tensor &tensor = instance_.program->graph.tensors()[index];
        View out;
        out.dtype = tensor.dtype;
        out.data = instance_.storage(tensor.storage);
        if (!has(Fault::add_ignores_offset)) out.data += tensor.offset;
        for (uint32_t d = 0; d < tensor.rank; ++d) {
            const uint32_t to = 4 - tensor.rank + d;
            out.dims[to] = realizar::resolve_dim(tensor.dims[d], instance_.symbols);
            out.strides[to] = tensor.strides[d];
        }
        return out;
    }
    rz_instance &instance_;
    const rz_node &node_;
};

void get_rows(const Node &node) {
    const View table = node.in(0), ids = node.in(1), y = node.out();
    for (int64_t t = 0; t < y.rows(); ++t) {
        const int32_t id = ids.i32(0)[t];
        for (int64_t i = 0; i < y.width(); ++i)
            y.f32(t)[i] = id >= 0 && id < table.rows() ? table.get(id, i) : 0.0f;
    }
}

void matmul(const Node &node) {
    const View w = node.in(0), x = node.in(1), y = node.out();
    const int64_t depth = w.width() - (has(Fault::matmul_off_by_one) ? 1 : 0);
    for (int64_t t = 0; t < y.rows(); ++t)
        for (int64_t n = 0; n < y.width(); ++n) {
            const bool skip = has(Fault::matmul_wrong_last_row) && t + 1 == y.rows() && t % 8 == 1;
            double sum = 0;
            for (int64_t k = 0; k < depth; ++k)
                sum += double{w.get(n, k)} * x.f32(skip ? t - 1 : t)[k];
            y.f32(t)[n] = static_cast<float>(sum);
        }
    if (has(Fault::writes_past_output)) y.f32(0)[y.rows() * y.width()] = 1.0f;
}

// What a careless fusion keeps of an intermediate result: the upper half of its bits.
float coarse(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    bits &= 0xffff0000u;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

// `fused`: the node before made the first operand.
void add(const Node &node, bool fused) {
    View a = node.in(0);
    const View b = node.in(1), y = node.out();
    if (has(Fault::add_ignores_stride)) {
        for (int d = 2; d >= 0; --d)
            a.strides[d] = (d == 2 ? 4 : a.strides[d + 1]) * a.dims[d + 1];
    }
    float carried = 0;
    for (int64_t t = 0; t < y.rows(); ++t)
        for (int64_t i = 0; i < y.width(); ++i) {
            float first = a.f32(t)[i], second = b.f32(t % b.rows())[i];
            if (fused && has(Fault::fusion_drops_addend)) second = 0;
            if (fused && has(Fault::fusion_rounds_coarsely)) first = coarse(first);
            float value = first + second;
            // As a vectorised sum does that multiplies a mask instead of choosing.
            if (has(Fault::nan_leaks)) value += 0 * (carried = value + carried);
            y.f32(t)[i] = value;
        }
}

void scale(const Node &node) {
    const View x = node.in(0), y = node.out();
    const auto attr = node.attributes<rz_attr_scale>();
    for (int64_t t = 0; t < y.rows(); ++t)
        for (int64_t i = 0; i < y.width(); ++i)
            y.f32(t)[i] = x.f32(t)[i] * attr.scale + attr.bias;
}

void rms_norm(const Node &node) {
    const View x = node.in(0), y = node.out();
    const auto attr = node.attributes<rz_attr_norm>();
    for (int64_t t = 0; t < y.rows(); ++t) {
        double sum = 0;
        for (int64_t i = 0; i < x.width(); ++i)
            sum += double{x.f32(t)[i]} * x.f32(t)[i];
        const double inverse = 1 / std::sqrt(sum / static_cast<double>(x.width()) + attr.epsilon);
        for (int64_t i = 0; i < x.width(); ++i)
            y.f32(t)[i] = static_cast<float>(x.f32(t)[i] * inverse *
                                             (node.has_input(1) ? node.in(1).f32(0)[i] : 1));
    }
}

double rope_angle(const rz_attr_rope &attr, int64_t i, double position, double factor) {
    const double pi = 3.141592653589793, rotated = attr.rotated;
    const double extrapolated = position * std::pow(attr.base, -2.0 * i / rotated) / factor;
    if (attr.extrapolation == 0) return attr.scale * extrapolated;
    const auto corner = [&](double beta) {
        return rotated * std::log(attr.original_context / (beta * 2 * pi)) /
               (2 * std::log(attr.base));
    };
    const double low = std::clamp(std::floor(corner(attr.beta_fast)), 0.0, rotated - 1);
    const double high = std::clamp(std::ceil(corner(attr.beta_slow)), 0.0, rotated - 1);
    const double ramp = std::clamp((i - low) / std::max(0.001, high - low), 0.0, 1.0);
    const double mix = attr.extrapolation * (1 - ramp);
    return attr.scale * extrapolated * (1 - mix) + extrapolated * mix;
}

void rope(const Node &node) {
    const View x = node.in(0), positions = node.in(1), y = node.out();
    const auto attr = node.attributes<rz_attr_rope>();
    bool halves = attr.pairing == RZ_ROPE_HALVES;
    if (has(Fault::rope_wrong_pairing)) halves = !halves;
    const double magnitude =
        attr.attention_factor *
        (attr.extrapolation != 0 ? 1 + 0.1 * std::log(1 / double{attr.scale}) : 1.0);
    const bool factors = node.has_input(2) && !has(Fault::rope_ignores_factors);
    const int64_t pairs = attr.rotated / 2;
    for (int64_t r = 0; r < y.rows(); ++r) {
        std::copy_n(x.f32(r), x.width(), y.f32(r));
        const double position = positions.i32(0)[r / x.dims[2]];
        for (int64_t i = 0; i < pairs; ++i) {
            const int64_t a = halves ? i : 2 * i, b = halves ? i + pairs : 2 * i + 1;
            const double angle = rope_angle(attr, i, position, factors ? node.in(2).f32(0)[i] : 1);
            const double c = magnitude * std::cos(angle), s = magnitude * std::sin(angle);
            y.f32(r)[a] = static_cast<float>(x.f32(r)[a] * c - x.f32(r)[b] * s);
            y.f32(r)[b] = static_cast<float>(x.f32(r)[a] * s + x.f32(r)[b] * c);
        }
    }
}

void kv_write(const Node &node) {
    const View cache = node.in(0), rows = node.in(1), cells = node.in(2);
    const int64_t heads = cache.dims[2];
    for (int64_t t = 0; t < rows.dims[1]; ++t) {
        int64_t cell = cells.i32(0)[t];
        if (cell < 0 || cell >= cache.dims[1]) continue;
        if (has(Fault::kv_write_wrong_cell)) cell = (cell + 1) % cache.dims[1];
        for (int64_t h = 0; h < heads; ++h)
            for (int64_t i = 0; i < cache.width(); ++i)
                cache.set(cell * heads + h, i, rows.f32(t * heads + h)[i],
                          has(Fault::kv_write_truncates));
    }
}

double alibi_slope(double max_bias, int64_t head, int64_t heads) {
    int64_t n = 1;
    while (n * 2 <= heads)
        n *= 2;
    const double power =
        head < n ? -max_bias * static_cast<double>(head + 1) / static_cast<double>(n)
                 : -max_bias / 2 * static_cast<double>(2 * (head - n) + 1) / static_cast<double>(n);
    return std::exp2(power);
}

class Attention {
  public:
    explicit Attention(const Node &node)
        : node_(node), q_(node.in(0)), k_(node.in(1)), v_(node.in(2)), pages_(node.in(5)),
          y_(node.out()), attr_(node.attributes<rz_attr_attention>()) {}

    void run() {
        for (int64_t t = 0; t < q_.dims[1]; ++t)
            for (int64_t h = 0; h < q_.dims[2]; ++h)
                one(t, h);
    }

  private:
    int64_t cell_of(int64_t sequence, int64_t p) const {
        const int64_t slot = p / attr_.page_size;
        if (slot >= pages_.width()) return -1;
        const int64_t page =
            has(Fault::attention_ignores_pages) ? slot : pages_.i32(sequence)[slot];
        const int64_t cell = page * attr_.page_size + p % attr_.page_size;
        return page < 0 || cell >= k_.dims[1] ? -1 : cell;
    }

    bool sees(int64_t position, int64_t p) const {
        const int64_t window = attr_.window + (has(Fault::attention_window_off_by_one) ? 1 : 0);
        return (attr_.causal == 0 || p <= position) && (attr_.window == 0 || position - p < window);
    }

    void one(int64_t t, int64_t h) {
        const int64_t heads = q_.dims[2], kv_heads = k_.dims[2];
        const int64_t group =
            has(Fault::attention_wrong_head) ? h % kv_heads : h / (heads / kv_heads);
        const int64_t position = node_.in(3).i32(0)[t];
        int64_t sequence = node_.in(4).i32(0)[t];
        float *out = y_.f32(t * heads + h);
        std::fill_n(out, y_.width(), 0.0f);
        if (sequence < 0 && has(Fault::attention_sees_padding)) sequence = 0;
        if (sequence < 0) return;
        std::vector<std::pair<int64_t, double>> scores;
        double most = node_.has_input(7) ? node_.in(7).f32(0)[h] : -HUGE_VAL;
        for (int64_t p = 0; p < node_.in(6).i32(0)[sequence]; ++p) {
            const int64_t cell = cell_of(sequence, p);
            if (!sees(position, p) || cell < 0) continue;
            double score = 0;
            for (int64_t i = 0; i < q_.width(); ++i)
                score += double{q_.f32(t * heads + h)[i]} * k_.get(cell * kv_heads + group, i);
            score *= attr_.scale;
            if (attr_.softcap > 0) score = attr_.softcap * std::tanh(score / attr_.softcap);
            if (attr_.alibi_max_bias > 0)
                score +=
                    alibi_slope(attr_.alibi_max_bias, h, heads) * static_cast<double>(p - position);
            scores.emplace_back(cell * kv_heads + group, score);
            most = std::max(most, score);
        }
        if (scores.empty()) return;
        const bool sinks = node_.has_input(7) && !has(Fault::attention_ignores_sinks);
        double sum = sinks ? std::exp(node_.in(7).f32(0)[h] - most) : 0;
        for (auto &[key, score] : scores)
            sum += score = std::exp(score - most);
        for (int64_t i = 0; i < y_.width(); ++i) {
            double value = 0;
            for (const auto &[key, weight] : scores)
                value += weight / sum * v_.get(key, i);
            out[i] = static_cast<float>(value);
        }
    }

    const Node &node_;
    View q_, k_, v_, pages_, y_;
    rz_attr_attention attr_;
};

double unary_value(uint32_t kind, double x) {
    switch (kind) {
    case RZ_UNARY_SILU: return x / (1 + std::exp(-x));
    case RZ_UNARY_GELU:
        return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    case RZ_UNARY_GELU_ERF: return 0.5 * x * (1 + std::erf(x * 0.7071067811865476));
    case RZ_UNARY_GELU_QUICK: return x / (1 + std::exp(-1.702 * x));
    case RZ_UNARY_RELU: return std::max(x, 0.0);
    case RZ_UNARY_RELU_SQUARED: return std::max(x, 0.0) * std::max(x, 0.0);
    case RZ_UNARY_SIGMOID: return 1 / (1 + std::exp(-x));
    default: return std::tanh(x);
    }
}

void unary(const Node &node) {
    const View x = node.in(0), y = node.out();
    const uint32_t kind = node.attributes<rz_attr_unary>().kind;
    for (int64_t t = 0; t < y.rows(); ++t)
        for (int64_t i = 0; i < y.width(); ++i)
            y.f32(t)[i] = static_cast<float>(unary_value(kind, x.f32(t)[i]));
}

void copy(const Node &node) {
    const View x = node.in(0), y = node.out();
    for (int64_t t = 0; t < y.rows(); ++t)
        for (int64_t i = 0; i < y.width(); ++i)
            y.set(t, i, x.get(t, i), has(Fault::copy_truncates));
}

void argmax(const Node &node) {
    const View x = node.in(0), y = node.out();
    for (int64_t t = 0; t < x.rows(); ++t) {
        int64_t best = 0;
        for (int64_t i = 1; i < x.width(); ++i) {
            const float a = std::isnan(x.f32(t)[best]) ? -HUGE_VALF : x.f32(t)[best];
            if (x.f32(t)[i] > a || (has(Fault::argmax_last_of_tie) && x.f32(t)[i] == a)) best = i;
        }
        y.i32(0)[t] = static_cast<int32_t>(best);
    }
}

void run_node(const Node &node, uint32_t op, bool fused) {
    switch (op) {
    case RZ_OP_GET_ROWS: return get_rows(node);
    case RZ_OP_MATMUL: return matmul(node);
    case RZ_OP_ADD: return add(node, fused);
    case RZ_OP_SCALE: return scale(node);
    case RZ_OP_RMS_NORM: return rms_norm(node);
    case RZ_OP_ROPE: return rope(node);
    case RZ_OP_KV_WRITE: return kv_write(node);
    case RZ_OP_ATTENTION: return Attention(node).run();
    case RZ_OP_UNARY: return unary(node);
    case RZ_OP_COPY: return copy(node);
    case RZ_OP_ARGMAX: return argmax(node);
    }
}

} // namespace

uint32_t capability_count() {
    return static_cast<uint32_t>(std::size(kRows)) - (has(Fault::claims_too_much) ? 0 : 1);
}
const rz_capability *capability_rows() { return kRows; }

bool supports(const realizar::Graph &graph, const rz_node &node) {
    const rz_dtype dtype = graph.tensors()[node.inputs[node.op == RZ_OP_ATTENTION ? 1 : 0]].dtype;
    for (uint32_t i = 0; i + 1 < std::size(kRows); ++i) {
        if (kRows[i].op != node.op || (kRows[i].dtypes & RZ_DTYPE_BIT(dtype)) == 0) continue;
        const auto cache_type = [&](uint32_t input) {
            return (kRows[i].dtypes & RZ_DTYPE_BIT(graph.tensors()[node.inputs[input]].dtype)) != 0;
        };
        if (node.op == RZ_OP_COPY) return graph.tensors()[node.outputs[0]].dtype <= RZ_DTYPE_F16;
        return node.op != RZ_OP_ATTENTION || (cache_type(1) && cache_type(2));
    }
    return false;
}

void execute(rz_instance &instance) {
    const realizar::Graph &graph = instance.program->graph;
    uint32_t last_output = RZ_NONE;
    for (const rz_node &node : graph.nodes()) {
        if (has(Fault::crashes) && node.op == RZ_OP_MATMUL) std::raise(SIGSEGV);
        if (has(Fault::hangs) && node.op == RZ_OP_SCALE)
            std::this_thread::sleep_for(std::chrono::hours(1));
        if (has(Fault::throws) && node.op == RZ_OP_SCALE) throw std::runtime_error("from inside");
        const bool fused = instance.program->fuse && node.inputs[0] == last_output;
        run_node(Node(instance, node), node.op, fused);
        last_output = node.outputs[0];
    }
}
