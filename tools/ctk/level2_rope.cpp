// ROPE: both pairings, partial rotation, factors, linear scaling and YaRN.
#include "tools/ctk/level2.h"

#include <cmath>

namespace realizar::ctk {
namespace {

struct RopeCase {
    const char *name;
    int64_t heads, width;
    uint32_t rotated;
    Layout layout;
    bool factors;
    RopeParams params; // rotated and halves are set from above
    int32_t largest_position;
};

RopeParams linear(float scale) {
    RopeParams params;
    params.scale = scale;
    return params;
}

RopeParams yarn(float scale, float extrapolation, uint32_t context, float base) {
    RopeParams params;
    params.base = base;
    params.scale = scale;
    params.extrapolation = extrapolation;
    params.original_context = context;
    params.attention_factor = 1.1f;
    return params;
}

RopeParams base(float value, float attention_factor = 1) {
    RopeParams params;
    params.base = value;
    params.attention_factor = attention_factor;
    return params;
}

std::vector<RopeCase> rope_cases() {
    return {
        {"smallest", 1, 2, 2, Layout::dense, false, base(10000), 3},
        {"plain", 3, 64, 64, Layout::dense, false, base(10000), 40},
        {"far", 2, 128, 128, Layout::columns, false, base(500000), 8191},
        {"partial", 5, 80, 32, Layout::split, false, base(10000), 100},
        {"partial-odd", 1, 33, 6, Layout::columns, false, base(10000, 0.9f), 100},
        {"factors", 4, 96, 96, Layout::split, true, base(10000), 500},
        {"factors-partial", 2, 100, 50, Layout::dense, true, base(1000000), 500},
        {"linear", 3, 64, 64, Layout::columns, false, linear(0.25f), 1000},
        {"yarn", 2, 128, 128, Layout::dense, false, yarn(0.25f, 1, 4096, 10000), 3000},
        {"yarn-half", 2, 64, 64, Layout::split, false, yarn(0.125f, 0.5f, 2048, 50000), 200},
        {"yarn-factors", 3, 80, 64, Layout::columns, true, yarn(0.5f, 1, 512, 10000), 700},
        {"wide", 31, 256, 256, Layout::dense, false, base(10000), 77},
    };
}

Result<Region> rope(const RopeCase &c, bool halves, Random &random) {
    constexpr int64_t kTokens = 17;
    GraphBuilder builder;
    const int64_t tokens = builder.symbol(1, kTokens, 1);
    const TensorId x = operand(builder, "x", {tokens, c.heads, c.width}, c.layout);
    const TensorId positions = builder.input("positions", DType::I32, {tokens});
    const TensorId factors =
        c.factors ? builder.weight("factors", DType::F32, {c.rotated / 2}, 31) : kNoTensor;
    RopeParams params = c.params;
    params.halves = halves;
    params.rotated = c.rotated;
    builder.output(builder.rope(x, positions, factors, params), "y");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    if (factors != kNoTensor) region.spread[factors] = {4, 0.5};
    region.steps = steps_for(1, kTokens);
    for (Step &step : region.steps) {
        std::vector<int32_t> &values = step.integers[positions];
        values = random_integers(random, step.symbols[0], 0, c.largest_position);
        if (values.size() > 2) values[2] = 0;
    }
    return region;
}

} // namespace

void add_rope_cases(const Offer &offer, CaseList &cases) {
    if (!offer.claims(RZ_OP_ROPE, RZ_DTYPE_F32)) return;
    for (const RopeCase &c : rope_cases())
        for (const bool halves : {false, true})
            add_operator_case(cases, "rope", "F32",
                              std::string(c.name) + (halves ? "_halves" : "_adjacent"),
                              [=](Random &random) { return rope(c, halves, random); });
}

} // namespace realizar::ctk
