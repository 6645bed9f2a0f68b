// RMS_NORM, LAYER_NORM and SOFTMAX: reductions over the innermost dimension.
#include "tools/ctk/level2.h"

#include <limits>

namespace realizar::ctk {
namespace {

struct NormShape {
    int64_t tokens, middle, width;
    Layout layout;
    bool weight, bias;
    float epsilon;
    Spread spread;
};
// Offsets from zero make the cancellation in LAYER_NORM, tiny numbers make epsilon matter.
constexpr NormShape kShapes[] = {
    {1, 0, 1, Layout::dense, false, false, 1e-5f, {0, 1}},
    {3, 0, 2, Layout::columns, true, true, 1e-6f, {0, 1}},
    {33, 0, 31, Layout::dense, true, false, 1e-5f, {3, 1}},
    {5, 0, 257, Layout::columns, false, true, 1e-5f, {0, 0.001}},
    {7, 3, 33, Layout::split, true, true, 1e-3f, {0.5, 2}},
    {2, 31, 64, Layout::split, true, false, 1e-5f, {0, 100}},
    {9, 0, 2048, Layout::dense, true, true, 1e-5f, {0, 1}},
    {65, 2, 128, Layout::columns, true, false, 1e-6f, {0, 1}},
};

std::string shape_name(const NormShape &shape) {
    return std::to_string(shape.tokens) + "x" +
           (shape.middle == 0 ? "" : std::to_string(shape.middle) + "x") +
           std::to_string(shape.width) + "_" + layout_name(shape.layout) +
           (shape.weight ? "_weight" : "") + (shape.bias ? "_bias" : "");
}

TensorId make_x(GraphBuilder &builder, const NormShape &shape, int64_t tokens) {
    const Shape dims =
        shape.middle == 0 ? Shape{tokens, shape.width} : Shape{tokens, shape.middle, shape.width};
    return operand(builder, "x", dims, shape.layout);
}

Result<Region> norm(const NormShape &shape, bool layer) {
    GraphBuilder builder;
    const int64_t tokens = builder.symbol(1, shape.tokens, 1);
    const TensorId x = make_x(builder, shape, tokens);
    const TensorId weight =
        shape.weight ? builder.weight("weight", DType::F32, {shape.width}, 21) : kNoTensor;
    const TensorId bias =
        layer && shape.bias ? builder.weight("bias", DType::F32, {shape.width}, 22) : kNoTensor;
    builder.output(layer ? builder.layer_norm(x, weight, bias, shape.epsilon)
                         : builder.rms_norm(x, weight, shape.epsilon),
                   "y");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    region.steps = steps_for(1, shape.tokens);
    for (TensorId id = 0; id < region.graph.tensors().size(); ++id)
        region.spread[id] = id == weight || id == bias ? Spread{1, 0.5} : shape.spread;
    return region;
}

Result<Region> softmax(const NormShape &shape, float scale) {
    GraphBuilder builder;
    const int64_t tokens = builder.symbol(1, shape.tokens, 1);
    builder.output(builder.softmax(make_x(builder, shape, tokens), scale), "y");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    region.steps = steps_for(1, shape.tokens);
    for (TensorId id = 0; id < region.graph.tensors().size(); ++id)
        region.spread[id] = shape.spread;
    return region;
}

enum class Op { rms_norm, layer_norm, softmax };

// Row 2: NaN. Row 4 of SOFTMAX: all -Inf, which gives zeros. Row 6: some -Inf.
Result<Region> poisoned(Op op, Random &random) {
    constexpr int64_t kTokens = 9, kWidth = 37;
    constexpr float kInf = std::numeric_limits<float>::infinity();
    GraphBuilder builder;
    const TensorId x = builder.input("x", DType::F32, {kTokens, kWidth});
    builder.output(op == Op::softmax    ? builder.softmax(x, 0.5f)
                   : op == Op::rms_norm ? builder.rms_norm(x, kNoTensor, 1e-5f)
                                        : builder.layer_norm(x, kNoTensor, kNoTensor, 1e-5f),
                   "y");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    Step step;
    std::vector<float> &values = step.numbers[x];
    for (int64_t i = 0; i < kTokens * kWidth; ++i)
        values.push_back(static_cast<float>(random.normal()));
    values[2 * kWidth + 36] = std::numeric_limits<float>::quiet_NaN();
    step.free_rows = {2};
    std::fill_n(values.begin() + 4 * kWidth, kWidth, -kInf);
    values[6 * kWidth + 3] = values[6 * kWidth + 35] = -kInf;
    if (op != Op::softmax) step.free_rows = {2, 4, 6};
    region.steps.push_back(std::move(step));
    return region;
}

// Rows of zeros: epsilon alone keeps the result finite.
Result<Region> zeros(Op op) {
    constexpr int64_t kTokens = 3, kWidth = 65;
    GraphBuilder builder;
    const TensorId x = builder.input("x", DType::F32, {kTokens, kWidth});
    builder.output(op == Op::softmax    ? builder.softmax(x, 2)
                   : op == Op::rms_norm ? builder.rms_norm(x, kNoTensor, 1e-6f)
                                        : builder.layer_norm(x, kNoTensor, kNoTensor, 1e-6f),
                   "y");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    Step step;
    step.numbers[x].assign(static_cast<size_t>(kTokens * kWidth), 0.0f);
    region.steps.push_back(std::move(step));
    return region;
}

void add_specials(CaseList &cases, const char *suite, Op op) {
    add_operator_case(cases, suite, "F32", "nan-rows",
                      [=](Random &random) { return poisoned(op, random); });
    add_operator_case(cases, suite, "F32", "zeros", [=](Random &) { return zeros(op); });
}

} // namespace

void add_norm_cases(const Offer &offer, CaseList &cases) {
    for (const bool layer : {false, true}) {
        const char *suite = layer ? "layer_norm" : "rms_norm";
        if (!offer.claims(layer ? RZ_OP_LAYER_NORM : RZ_OP_RMS_NORM, RZ_DTYPE_F32)) continue;
        for (const NormShape &shape : kShapes)
            add_operator_case(cases, suite, "F32", shape_name(shape),
                              [=](Random &) { return norm(shape, layer); });
        add_specials(cases, suite, layer ? Op::layer_norm : Op::rms_norm);
    }
    if (!offer.claims(RZ_OP_SOFTMAX, RZ_DTYPE_F32)) return;
    for (const NormShape &shape : kShapes)
        for (const float scale : {1.0f, 0.088f})
            add_operator_case(cases, "softmax", "F32",
                              shape_name(shape) + (scale == 1 ? "" : "_scaled"),
                              [=](Random &) { return softmax(shape, scale); });
    add_specials(cases, "softmax", Op::softmax);
}

} // namespace realizar::ctk
