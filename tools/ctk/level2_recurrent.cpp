// SSM_CONV and SSM_SCAN: sequences that begin, go on over several submissions and stand between each
// other's rows; states that no row names.
#include "tools/ctk/level2.h"

namespace realizar::ctk {
namespace {

constexpr int64_t kSequences = 4, kMostRows = 19;

// Rows in the order of a batch: sequence 0 goes on, sequence 2 begins in the middle, one row belongs to
// no sequence, sequence 1 begins and begins again, sequence 3 stays alone.
void place_rows(Step &step, TensorId positions, TensorId sequences) {
    int32_t next[kSequences] = {5, 0, 0, 0};
    constexpr int32_t kOrder[] = {0, 0, 2, 0, 2, -1, 0, 1, 1, 2};
    for (int64_t t = 0; t < step.symbols[0]; ++t) {
        const int32_t s = t == 11 ? 7 : kOrder[t % 10];
        step.integers[sequences].push_back(s);
        if (s < 0 || s >= kSequences) {
            step.integers[positions].push_back(0);
            continue;
        }
        if (t == 17) next[1] = 0;
        step.integers[positions].push_back(next[s]++);
    }
}

struct Places {
    TensorId positions, sequences;
    explicit Places(GraphBuilder &builder, int64_t tokens)
        : positions(builder.input("positions", DType::I32, {tokens})),
          sequences(builder.input("sequences", DType::I32, {tokens})) {}
};

Result<Region> finish(GraphBuilder &builder, const Places &places) {
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    region.steps = steps_for(1, kMostRows);
    for (Step &step : region.steps)
        place_rows(step, places.positions, places.sequences);
    return region;
}

Result<Region> conv(int64_t taps, int64_t width, bool bias, Layout layout) {
    GraphBuilder builder;
    const int64_t tokens = builder.symbol(1, kMostRows, 1);
    const Places places(builder, tokens);
    const TensorId state = builder.state("state", DType::F32, {kSequences, taps - 1, width}, 51);
    const TensorId y =
        builder.ssm_conv(state, operand(builder, "x", {tokens, width}, layout),
                         builder.weight("w", DType::F32, {width, taps}, 52),
                         bias ? builder.weight("bias", DType::F32, {width}, 53) : kNoTensor,
                         {places.positions, places.sequences});
    builder.output(y, "y");
    return finish(builder, places);
}

struct ScanShape {
    int64_t heads, width, size, groups;
    bool one_rate = false; // per head
    bool skip = true;
    Layout layout = Layout::dense;
};
constexpr ScanShape kScans[] = {
    {1, 1, 1, 1},
    {33, 1, 16, 1},
    {130, 1, 7, 1, false, false},
    {6, 5, 9, 3, true},
    {4, 64, 128, 1, true, true, Layout::split},
    {8, 3, 17, 2, false, true, Layout::columns},
};

Result<Region> scan(const ScanShape &s) {
    GraphBuilder builder;
    const int64_t tokens = builder.symbol(1, kMostRows, 1);
    const Places places(builder, tokens);
    ScanInputs in{};
    in.x = operand(builder, "x", {tokens, s.heads, s.width}, s.layout);
    in.dt = operand(builder, "dt", {tokens, s.heads}, s.layout);
    in.a = builder.weight("a", DType::F32, {s.heads, s.one_rate ? 1 : s.size}, 54);
    in.b = operand(builder, "b", {tokens, s.groups, s.size}, s.layout);
    in.c = operand(builder, "c", {tokens, s.groups, s.size}, s.layout);
    if (s.skip) in.d = builder.weight("d", DType::F32, {s.heads}, 55);
    const TensorId state =
        builder.state("state", DType::F32, {kSequences, s.heads, s.width, s.size}, 56);
    builder.output(builder.ssm_scan(state, in, {places.positions, places.sequences}), "y");
    const TensorId rates = in.a;
    auto region = finish(builder, places);
    if (region) region->spread[rates] = {-1, 0.3}; // states decay
    return region;
}

} // namespace

void add_recurrent_cases(const Offer &offer, CaseList &cases) {
    if (offer.claims(RZ_OP_SSM_CONV, RZ_DTYPE_F32))
        for (const int64_t taps : {2, 4, 7})
            for (const int64_t width : {1, 33, 257})
                for (const Layout layout : {Layout::dense, Layout::columns})
                    add_operator_case(cases, "ssm_conv", "F32",
                                      std::to_string(taps) + "x" + std::to_string(width) + "_" +
                                          layout_name(layout),
                                      [=](Random &) {
                                          return conv(taps, width, layout == Layout::dense, layout);
                                      });
    if (offer.claims(RZ_OP_SSM_SCAN, RZ_DTYPE_F32))
        for (const ScanShape &shape : kScans)
            add_operator_case(cases, "ssm_scan", "F32",
                              std::to_string(shape.heads) + "x" + std::to_string(shape.width) +
                                  "x" + std::to_string(shape.size),
                              [&shape](Random &) { return scan(shape); });
}

} // namespace realizar::ctk
