// KV_WRITE: rounding to the cache's type, skipped cells, and nothing else touched.
#include "tools/ctk/level2.h"

namespace realizar::ctk {
namespace {

struct CacheShape {
    int64_t cells, heads, width, tokens; // width in units of 32 elements for block types
    Layout layout;
};
constexpr CacheShape kPlain[] = {{1, 1, 1, 1, Layout::dense},
                                 {33, 1, 64, 9, Layout::dense},
                                 {64, 3, 80, 31, Layout::split},
                                 {257, 2, 33, 65, Layout::columns},
                                 {40, 8, 128, 40, Layout::dense}};
constexpr CacheShape kBlocks[] = {{1, 1, 1, 1, Layout::dense},
                                  {33, 1, 2, 9, Layout::dense},
                                  {64, 3, 3, 31, Layout::split},
                                  {257, 2, 1, 65, Layout::columns},
                                  {40, 8, 4, 40, Layout::dense}};

Result<Region> kv_write(const CacheShape &shape, DType dtype, double spread, Random &random) {
    GraphBuilder builder;
    const int64_t tokens = builder.symbol(1, shape.tokens, 1);
    const int64_t width = shape.width * dtype_info(dtype).block_elements;
    const TensorId cache = builder.state("cache", dtype, {shape.cells, shape.heads, width}, 41);
    const TensorId rows = operand(builder, "rows", {tokens, shape.heads, width}, shape.layout);
    const TensorId cells = builder.input("cells", DType::I32, {tokens});
    builder.kv_write(cache, rows, cells);
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    region.steps = steps_for(1, shape.tokens);
    for (Step &step : region.steps) {
        std::vector<int32_t> order = random_permutation(random, shape.cells);
        order.resize(static_cast<size_t>(step.symbols[0]), -1);
        // Skipped: negative cells, and those outside of the cache.
        if (order.size() > 2) order[1] = -1;
        if (order.size() > 4) order[3] = static_cast<int32_t>(shape.cells);
        step.integers[cells] = order;
    }
    for (TensorId id = 0; id < region.graph.tensors().size(); ++id)
        region.spread[id] = {0, spread};
    return region;
}

// A row of zeros has no scale; a row of one large value stresses it.
Result<Region> corners(DType dtype, Random &random) {
    constexpr int64_t kCells = 6, kHeads = 2, kWidth = 64;
    GraphBuilder builder;
    const TensorId cache = builder.state("cache", dtype, {kCells, kHeads, kWidth}, 42);
    const TensorId rows = builder.input("rows", DType::F32, {3, kHeads, kWidth});
    const TensorId cells = builder.input("cells", DType::I32, {3});
    builder.kv_write(cache, rows, cells);
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    Step step;
    std::vector<float> &values = step.numbers[rows];
    values.assign(kHeads * kWidth, 0.0f);
    for (int64_t i = 0; i < kHeads * kWidth; ++i)
        values.push_back(i % 64 == 9 ? -1000.0f : static_cast<float>(random.normal()));
    for (int64_t i = 0; i < kHeads * kWidth; ++i)
        values.push_back(static_cast<float>(random.normal() * 1e-3));
    step.integers[cells] = {4, 0, 5};
    region.steps.push_back(std::move(step));
    return region;
}

// Keys and values side by side in one state: each cache is a slice of it.
Result<Region> shared_state(DType dtype, Random &random) {
    constexpr int64_t kCells = 21, kHeads = 3, kWidth = 64, kTokens = 9;
    GraphBuilder builder;
    const TensorId both = builder.state("both", dtype, {kCells, 2 * kHeads * kWidth}, 43);
    const TensorId rows = builder.input("rows", DType::F32, {kTokens, kHeads, kWidth});
    const TensorId cells = builder.input("cells", DType::I32, {kTokens});
    const TensorId values = builder.slice_inner(both, kHeads * kWidth, kHeads * kWidth);
    builder.kv_write(builder.split_inner(values, kWidth), rows, cells);
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    Step step;
    step.integers[cells] = random_permutation(random, kCells);
    step.integers[cells].resize(kTokens);
    region.steps.push_back(std::move(step));
    return region;
}

} // namespace

void add_kv_write_cases(const Offer &offer, CaseList &cases) {
    for (const DType dtype : {DType::F32, DType::F16, DType::Q8_0, DType::Q4_0}) {
        if (!offer.claims(RZ_OP_KV_WRITE, static_cast<rz_dtype>(dtype))) continue;
        const char *type = dtype_info(dtype).name;
        const bool blocks = dtype_info(dtype).block_elements > 1;
        const auto shapes =
            blocks ? std::span<const CacheShape>(kBlocks) : std::span<const CacheShape>(kPlain);
        for (const CacheShape &shape : shapes)
            add_operator_case(cases, "kv_write", type,
                              std::to_string(shape.cells) + "x" + std::to_string(shape.heads) +
                                  "x" + std::to_string(shape.width) + "_" +
                                  layout_name(shape.layout),
                              [=](Random &random) { return kv_write(shape, dtype, 2, random); });
        add_operator_case(cases, "kv_write", type, "shared-state",
                          [=](Random &random) { return shared_state(dtype, random); });
        add_operator_case(cases, "kv_write", type, "corners",
                          [=](Random &random) { return corners(dtype, random); });
    }
}

} // namespace realizar::ctk
