// ARGMAX and TOP_K: exact, with ties, NaN and infinities.
#include "tools/ctk/level2.h"

#include <limits>

namespace realizar::ctk {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Few different values, so that ties are everywhere.
std::vector<float> with_ties(Random &random, int64_t count) {
    std::vector<float> out;
    for (int64_t i = 0; i < count; ++i)
        out.push_back(static_cast<float>(random.integer(-3, 3)));
    return out;
}

// k 0: ARGMAX.
TensorId select(GraphBuilder &builder, TensorId x, uint32_t k) {
    if (k == 0) {
        const TensorId index = builder.argmax(x);
        builder.output(index, "index");
        return index;
    }
    const GraphBuilder::TopK top = builder.top_k(x, k);
    builder.output(top.values, "values");
    builder.output(top.indices, "indices");
    return top.values;
}

Result<Region> selection(int64_t tokens_max, int64_t width, uint32_t k, bool ties, Layout layout,
                         Random &random) {
    GraphBuilder builder;
    const int64_t tokens = builder.symbol(1, tokens_max, 1);
    const TensorId x = operand(builder, "x", {tokens, width}, layout);
    select(builder, x, k);
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    region.steps = steps_for(1, tokens_max);
    const TensorId storage = region.graph.tensors()[x].storage;
    const int64_t stride = region.graph.tensors()[storage].dims[1];
    for (Step &step : region.steps)
        if (ties) step.numbers[storage] = with_ties(random, step.symbols[0] * stride);
    return region;
}

// Rows with NaN in various places are defined: NaN counts as -Inf, and comes last in TOP_K. TOP_K's
// values are those of the indices, so rows with NaN compare NaN with NaN.
Result<Region> strange(uint32_t k, Random &random) {
    constexpr int64_t kTokens = 8, kWidth = 19;
    GraphBuilder builder;
    const TensorId x = builder.input("x", DType::F32, {kTokens, kWidth});
    select(builder, x, k);
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    Step step;
    std::vector<float> &values = step.numbers[x];
    values = with_ties(random, kTokens * kWidth);
    const auto row = [&](int64_t r) { return values.begin() + r * kWidth; };
    row(0)[0] = kNan;
    row(1)[18] = kNan;
    row(2)[3] = kInf;
    row(2)[9] = kInf;
    std::fill_n(row(3), kWidth, -kInf);
    std::fill_n(row(4), kWidth, -kInf);
    row(4)[0] = kNan;
    std::fill_n(row(5), kWidth, 0.0f);
    row(5)[7] = -0.0f;
    if (k == 0) std::fill_n(row(6), kWidth, kNan);
    region.steps.push_back(std::move(step));
    return region;
}

} // namespace

void add_select_cases(const Offer &offer, CaseList &cases) {
    if (offer.claims(RZ_OP_ARGMAX, RZ_DTYPE_F32)) {
        for (const int64_t width : {1, 2, 31, 257, 4099})
            for (const bool ties : {false, true})
                add_operator_case(
                    cases, "argmax", "F32", std::to_string(width) + (ties ? "_ties" : ""),
                    [=](Random &random) {
                        return selection(33, width, 0, ties, ties ? Layout::columns : Layout::dense,
                                         random);
                    });
        add_operator_case(cases, "argmax", "F32", "strange",
                          [](Random &random) { return strange(0, random); });
    }
    if (!offer.claims(RZ_OP_TOP_K, RZ_DTYPE_F32)) return;
    struct TopShape {
        int64_t width;
        uint32_t k;
    };
    constexpr TopShape kShapes[] = {{1, 1},    {2, 2},     {31, 3},   {33, 33},    {257, 8},
                                    {1025, 1}, {4099, 40}, {700, 65}, {4099, 515}, {600, 600}};
    for (const TopShape &shape : kShapes)
        for (const bool ties : {false, true})
            add_operator_case(cases, "top_k", "F32",
                              std::to_string(shape.width) + "_k" + std::to_string(shape.k) +
                                  (ties ? "_ties" : ""),
                              [=](Random &random) {
                                  return selection(9, shape.width, shape.k, ties,
                                                   ties ? Layout::columns : Layout::dense, random);
                              });
    for (const uint32_t k : {1u, 7u, 19u})
        add_operator_case(cases, "top_k", "F32", "strange_k" + std::to_string(k),
                          [=](Random &random) { return strange(k, random); });
}

} // namespace realizar::ctk
