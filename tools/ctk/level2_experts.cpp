// Mixtures of experts: ROUTE, EXPERT_MATMUL, WEIGHTED_SUM; and CLAMP and CONCAT.
#include "tools/ctk/level2.h"

#include <cmath>
#include <limits>

namespace realizar::ctk {
namespace {

struct RouteShape {
    const char *name;
    int64_t experts, tokens;
    RouteParams params;
    bool bias = false;
    Layout layout = Layout::dense;
};
const RouteShape kRoutes[] = {
    {"one", 1, 1, {}},
    {"all", 7, 9, {.k = 7}},
    {"softmax", 60, 17, {.k = 4}, false, Layout::columns},
    {"softmax_normalised", 128, 33, {.k = 8, .normalise = true}},
    {"sigmoid", 31, 5, {.sigmoid = true, .k = 2, .scale = 2.5f}},
    {"sigmoid_bias", 32, 9, {.sigmoid = true, .k = 6, .normalise = true}, true},
    {"groups_of_best", 24, 9, {.k = 3, .groups = 4, .groups_used = 2, .scale = 16}},
    {"groups_of_two",
     64,
     9,
     {.sigmoid = true,
      .k = 8,
      .groups = 8,
      .groups_used = 4,
      .group_top = 2,
      .normalise = true,
      .scale = 2.5f},
     false,
     Layout::columns},
};

// Different logits in steps of a sixteenth, in random order: no two scores are nearly equal.
std::vector<float> separate_logits(Random &random, int64_t rows, int64_t width) {
    std::vector<float> out;
    for (int64_t r = 0; r < rows; ++r)
        for (const int32_t place : random_permutation(random, width))
            out.push_back(static_cast<float>(place - width / 2) / 16);
    return out;
}

Result<Region> route(const RouteShape &shape, Random &random) {
    GraphBuilder builder;
    const int64_t tokens = builder.symbol(1, shape.tokens, 1);
    const TensorId logits = operand(builder, "logits", {tokens, shape.experts}, shape.layout);
    const TensorId bias =
        shape.bias ? builder.input("bias", DType::F32, {shape.experts}) : kNoTensor;
    const auto routes = builder.route(logits, bias, shape.params);
    builder.output(routes.weights, "weights");
    builder.output(routes.experts, "experts");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    region.steps = steps_for(1, shape.tokens);
    const TensorId storage = region.graph.tensors()[logits].storage;
    const int64_t width = region.graph.tensors()[storage].dims[1];
    for (Step &step : region.steps) {
        step.numbers[storage] = separate_logits(random, step.symbols[0], width);
        for (int64_t e = 0; shape.bias && e < shape.experts; ++e) // far apart, or the same
            step.numbers[bias].push_back(static_cast<float>(random.integer(-1, 1)) * 4);
    }
    return region;
}

struct ExpertShape {
    int64_t experts, n, k, chosen, tokens; // k in elements or blocks of the type
    bool own_rows = false;                 // x has a row for each choice
    bool bias = false;
    Layout layout = Layout::dense;
};
constexpr ExpertShape kExperts[] = {
    {1, 1, 1, 1, 1},
    {4, 7, 3, 2, 9, false, true},
    {5, 33, 2, 3, 33, true, false, Layout::split},
    {8, 64, 1, 2, 65, false, false, Layout::columns},
    {60, 17, 2, 4, 2, true, true},
    {3, 129, 5, 3, 40, true},
};

Result<Region> expert_matmul(DType dtype, const ExpertShape &shape, bool named, Random &random) {
    GraphBuilder builder;
    const int64_t tokens = builder.symbol(1, shape.tokens, 1);
    const int64_t depth = shape.k * dtype_info(dtype).block_elements;
    const int64_t chosen = named ? shape.chosen : shape.experts;
    const TensorId w = builder.weight("w", dtype, {shape.experts, shape.n, depth}, 17);
    const TensorId x =
        operand(builder, "x", {tokens, shape.own_rows ? chosen : 1, depth}, shape.layout);
    const TensorId experts =
        named ? builder.input("experts", DType::I32, {tokens, chosen}) : kNoTensor;
    const TensorId bias =
        shape.bias ? builder.input("bias", DType::F32, {shape.experts, shape.n}) : kNoTensor;
    builder.output(builder.expert_matmul(w, x, experts, bias), "y");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    region.steps = steps_for(1, shape.tokens);
    for (Step &step : region.steps) {
        if (!named) continue;
        std::vector<int32_t> &ids = step.integers[experts];
        ids = random_integers(random, step.symbols[0] * chosen, 0, shape.experts - 1);
        if (ids.size() > 3) ids[1] = -1; // outside: zeros
        if (ids.size() > 5) ids[4] = static_cast<int32_t>(shape.experts);
    }
    region.spread[w] = {0.1, 1};
    return region;
}

Result<Region> weighted_sum(int64_t parts, int64_t width, Layout layout) {
    GraphBuilder builder;
    const int64_t tokens = builder.symbol(1, 19, 1);
    const TensorId x = operand(builder, "x", {tokens, parts, width}, layout);
    const TensorId weights = operand(builder, "weights", {tokens, parts}, layout);
    builder.output(builder.weighted_sum(x, weights), "y");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    region.steps = steps_for(1, 19);
    return region;
}

Result<Region> clamp(int64_t width, float low, float high, Layout layout) {
    GraphBuilder builder;
    const int64_t tokens = builder.symbol(1, 9, 1);
    const TensorId x = operand(builder, "x", {tokens, 3, width}, layout);
    builder.output(builder.clamp(x, low, high), "y");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    region.steps = steps_for(1, 9);
    for (TensorId id = 0; id < region.graph.tensors().size(); ++id)
        region.spread[id] = {0, 4};
    return region;
}

Result<Region> concat(const Shape &a, const Shape &b, Layout layout) {
    GraphBuilder builder;
    const int64_t tokens = builder.symbol(1, 9, 1);
    Shape left = a, right = b;
    left.dims[0] = right.dims[0] = tokens;
    builder.output(
        builder.concat(operand(builder, "a", left, layout), operand(builder, "b", right, layout)),
        "y");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    region.steps = steps_for(1, 9);
    return region;
}

void add_plain_cases(const Offer &offer, CaseList &cases) {
    for (const Layout layout : kLayouts) {
        const std::string name = layout_name(layout);
        if (offer.claims(RZ_OP_WEIGHTED_SUM, RZ_DTYPE_F32))
            for (const int64_t parts : {1, 2, 8})
                add_operator_case(
                    cases, "weighted_sum", "F32", std::to_string(parts) + "_" + name,
                    [=](Random &) { return weighted_sum(parts, 31 + 2 * parts, layout); });
        if (offer.claims(RZ_OP_CLAMP, RZ_DTYPE_F32)) {
            add_operator_case(cases, "clamp", "F32", "both_" + name,
                              [=](Random &) { return clamp(33, -1.5f, 7, layout); });
            add_operator_case(cases, "clamp", "F32", "above_" + name, [=](Random &) {
                return clamp(7, std::numeric_limits<float>::lowest(), 0.25f, layout);
            });
        }
        if (!offer.claims(RZ_OP_CONCAT, RZ_DTYPE_F32)) continue;
        const std::pair<Shape, Shape> shapes[] = {{{1, 5}, {1, 1}},
                                                  {{1, 4, 33}, {1, 4, 7}},
                                                  {{1, 4, 32}, {1, 1, 16}},
                                                  {{1, 2, 3, 5}, {1, 2, 1, 4}},
                                                  {{1, 2, 3, 5}, {1, 1, 3, 4}}};
        for (const auto &[a, b] : shapes)
            add_operator_case(cases, "concat", "F32", a.text() + b.text() + "_" + name,
                              [a = a, b = b, layout](Random &) { return concat(a, b, layout); });
    }
}

} // namespace

void add_expert_cases(const Offer &offer, CaseList &cases) {
    if (offer.claims(RZ_OP_ROUTE, RZ_DTYPE_F32))
        for (const RouteShape &shape : kRoutes)
            add_operator_case(cases, "route", "F32", shape.name,
                              [&shape](Random &random) { return route(shape, random); });
    for (const DType dtype : claimed_types(offer, RZ_OP_EXPERT_MATMUL))
        for (const ExpertShape &shape : kExperts)
            for (const bool named : {true, false}) {
                // Types differ in their decoding only: the large shapes run for a few of them.
                const bool common = dtype == DType::F32 || dtype == DType::F16 ||
                                    dtype == DType::Q8_0 || dtype == DType::Q4_K;
                if (!common && (!named || shape.experts > 8)) continue;
                const std::string name = std::to_string(shape.experts) + "x" +
                                         std::to_string(shape.n) + "x" + std::to_string(shape.k) +
                                         (named ? "_named" : "_each");
                add_operator_case(
                    cases, "expert_matmul", dtype_info(dtype).name, name,
                    [=](Random &random) { return expert_matmul(dtype, shape, named, random); });
            }
    add_plain_cases(offer, cases);
}

} // namespace realizar::ctk
