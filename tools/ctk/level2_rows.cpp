// GET_ROWS and MATMUL: every claimed element type, odd numbers of rows, all layouts of x.
#include "tools/ctk/level2.h"

#include <cmath>
#include <limits>

namespace realizar::ctk {
namespace {

struct MatmulShape {
    int64_t n, k, t; // k in elements for plain types, in blocks for the others
    Layout layout = Layout::dense;
    bool heads = false; // x is [T, 2, K]
};

constexpr MatmulShape kPlainShapes[] = {
    {1, 1, 1},
    {2, 3, 5},
    {3, 2, 33, Layout::columns},
    {31, 33, 7},
    {33, 31, 2, Layout::split, true},
    {255, 64, 4},
    {257, 257, 9},
    {64, 255, 33, Layout::columns},
    {17, 1025, 3, Layout::dense, true},
    {512, 128, 1},
    {96, 511, 65},
};
constexpr MatmulShape kBlockShapes[] = {
    {1, 1, 1},
    {2, 1, 5},
    {3, 2, 33, Layout::columns},
    {31, 3, 7},
    {33, 2, 2, Layout::split, true},
    {255, 1, 4},
    {257, 2, 9},
    {65, 5, 17, Layout::columns},
    {16, 9, 3, Layout::dense, true},
    {128, 4, 65},
};

Result<Region> matmul(DType dtype, const MatmulShape &shape, int64_t max_tokens) {
    GraphBuilder builder;
    const int64_t tokens = builder.symbol(1, max_tokens, 1);
    const int64_t depth = shape.k * dtype_info(dtype).block_elements;
    const TensorId w = builder.weight("w", dtype, {shape.n, depth}, 11);
    const Shape x_shape = shape.heads ? Shape{tokens, 2, depth} : Shape{tokens, depth};
    const TensorId x = operand(builder, "x", x_shape, shape.layout);
    builder.output(builder.matmul(w, x), "y");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    region.steps = steps_for(1, max_tokens);
    region.spread[w] = {0.1, 1};
    return region;
}

// One activation is much larger than the rest: the scale of a rounding to 8 bits must not spread
// beyond what the contract allows, and small values must not vanish with coarser types.
Result<Region> matmul_outlier(DType dtype, Random &random) {
    constexpr int64_t kRows = 40, kTokens = 6;
    const int64_t depth = 2 * std::max<int64_t>(32, dtype_info(dtype).block_elements);
    GraphBuilder builder;
    const TensorId w = builder.weight("w", dtype, {kRows, depth}, 12);
    const TensorId x = builder.input("x", DType::F32, {kTokens, depth});
    builder.output(builder.matmul(w, x), "y");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    Step step;
    std::vector<float> &values = step.numbers[x];
    for (int64_t i = 0; i < kTokens * depth; ++i)
        values.push_back(static_cast<float>(random.normal() * (i % depth == 7 ? 30 : 1)));
    // A row of zeros and a row of one value only.
    std::fill_n(values.begin() + depth, depth, 0.0f);
    std::fill_n(values.begin() + 2 * depth, depth, 0.37f);
    region.steps.push_back(std::move(step));
    return region;
}

// A row that holds NaN or Inf must not touch the other rows.
Result<Region> matmul_poisoned(DType dtype, Random &random) {
    constexpr int64_t kRows = 37, kTokens = 9;
    const int64_t depth = std::max<int64_t>(33, dtype_info(dtype).block_elements);
    GraphBuilder builder;
    const int64_t padded = (depth + dtype_info(dtype).block_elements - 1) /
                           dtype_info(dtype).block_elements * dtype_info(dtype).block_elements;
    const TensorId w = builder.weight("w", dtype, {kRows, padded}, 13);
    const TensorId x = builder.input("x", DType::F32, {kTokens, padded});
    builder.output(builder.matmul(w, x), "y");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    Step step;
    std::vector<float> &values = step.numbers[x];
    for (int64_t i = 0; i < kTokens * padded; ++i)
        values.push_back(static_cast<float>(random.normal()));
    values[static_cast<size_t>(3 * padded + 5)] = std::numeric_limits<float>::quiet_NaN();
    values[static_cast<size_t>(6 * padded)] = std::numeric_limits<float>::infinity();
    step.free_rows = {3, 6};
    region.steps.push_back(std::move(step));
    return region;
}

// Weights that are slices of wider ones, as in models that store Q, K and V in one tensor.
Result<Region> matmul_slice(DType dtype) {
    constexpr int64_t kRows = 45, kTokens = 7;
    const int64_t block = std::max<int64_t>(32, dtype_info(dtype).block_elements);
    GraphBuilder builder;
    const TensorId whole = builder.weight("w", dtype, {kRows, 4 * block}, 16);
    const TensorId x = builder.input("x", DType::F32, {kTokens, 2 * block});
    builder.output(builder.matmul(builder.slice_inner(whole, block, 2 * block), x), "y");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    region.steps.emplace_back();
    return region;
}

struct TableShape {
    int64_t rows, width, tokens; // width in blocks
};
constexpr TableShape kTables[] = {{1, 1, 1}, {7, 3, 33}, {257, 2, 5}, {33, 5, 65}, {1000, 1, 2}};

Result<Region> get_rows(DType dtype, const TableShape &shape, Random &random) {
    GraphBuilder builder;
    const int64_t tokens = builder.symbol(1, shape.tokens, 1);
    const int64_t width = shape.width * dtype_info(dtype).block_elements;
    const TensorId table = builder.weight("table", dtype, {shape.rows, width}, 14);
    const TensorId ids = builder.input("ids", DType::I32, {tokens});
    builder.output(builder.get_rows(table, ids), "rows");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    region.steps = steps_for(1, shape.tokens);
    for (Step &step : region.steps) {
        std::vector<int32_t> &values = step.integers[ids];
        values = random_integers(random, step.symbols[0], 0, shape.rows - 1);
        // Ids outside of the table give zeros.
        if (values.size() > 3) values[1] = -1;
        if (values.size() > 3) values[2] = static_cast<int32_t>(shape.rows);
        if (values.size() > 4) values[4] = std::numeric_limits<int32_t>::min();
    }
    return region;
}

// Tied embeddings: one weight is the table of GET_ROWS and the matrix of MATMUL.
Result<Region> tied(DType dtype, Random &random) {
    constexpr int64_t kRows = 67, kTokens = 5;
    const int64_t width = 2 * std::max<int64_t>(16, dtype_info(dtype).block_elements);
    GraphBuilder builder;
    const TensorId table = builder.weight("table", dtype, {kRows, width}, 15);
    const TensorId ids = builder.input("ids", DType::I32, {kTokens});
    const TensorId rows = builder.get_rows(table, ids);
    builder.output(builder.matmul(table, rows), "logits");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    Step step;
    step.integers[ids] = random_integers(random, kTokens, 0, kRows - 1);
    region.steps.push_back(std::move(step));
    return region;
}

std::string shape_name(const MatmulShape &shape) {
    std::string text = "n";
    text.append(std::to_string(shape.n)).append("_k").append(std::to_string(shape.k));
    text.append("_t").append(std::to_string(shape.t)).append(shape.heads ? "_heads_" : "_");
    return text.append(layout_name(shape.layout));
}

} // namespace

void add_row_cases(const Offer &offer, CaseList &cases) {
    for (const DType dtype : claimed_types(offer, RZ_OP_GET_ROWS)) {
        const char *type = dtype_info(dtype).name;
        for (const TableShape &shape : kTables)
            add_operator_case(cases, "get_rows", type,
                              std::to_string(shape.rows) + "x" + std::to_string(shape.width) +
                                  "_t" + std::to_string(shape.tokens),
                              [=](Random &random) { return get_rows(dtype, shape, random); });
    }
    for (const DType dtype : claimed_types(offer, RZ_OP_MATMUL)) {
        const char *type = dtype_info(dtype).name;
        const bool plain = dtype_info(dtype).block_elements == 1;
        const auto shapes = plain ? std::span<const MatmulShape>(kPlainShapes)
                                  : std::span<const MatmulShape>(kBlockShapes);
        for (const MatmulShape &shape : shapes)
            add_operator_case(cases, "matmul", type, shape_name(shape),
                              [=](Random &) { return matmul(dtype, shape, shape.t); });
        add_operator_case(cases, "matmul", type, "outlier",
                          [=](Random &random) { return matmul_outlier(dtype, random); });
        add_operator_case(cases, "matmul", type, "nan-rows",
                          [=](Random &random) { return matmul_poisoned(dtype, random); });
        add_operator_case(cases, "matmul", type, "slice-of-weight",
                          [=](Random &) { return matmul_slice(dtype); });
        if (offer.claims(RZ_OP_GET_ROWS, static_cast<rz_dtype>(dtype)))
            add_operator_case(cases, "matmul", type, "tied-embeddings",
                              [=](Random &random) { return tied(dtype, random); });
    }
}

} // namespace realizar::ctk
