// ADD, MUL, SCALE, UNARY, GLU and COPY.
#include "tools/ctk/level2.h"

#include <limits>

namespace realizar::ctk {
namespace {

struct ElementShape {
    int64_t tokens, middle, width; // middle 0: rank 2
};
constexpr ElementShape kShapes[] = {{1, 0, 1},  {5, 0, 3},   {33, 0, 31}, {3, 0, 257},
                                    {7, 3, 33}, {2, 31, 64}, {65, 2, 5},  {4, 0, 1023}};

Shape shape_of(const ElementShape &shape, int64_t tokens) {
    return shape.middle == 0 ? Shape{tokens, shape.width}
                             : Shape{tokens, shape.middle, shape.width};
}

std::string shape_name(const ElementShape &shape, Layout layout) {
    const std::string middle = shape.middle == 0 ? "" : std::to_string(shape.middle) + "x";
    return std::to_string(shape.tokens) + "x" + middle + std::to_string(shape.width) + "_" +
           layout_name(layout);
}

// Calls fn for each shape, with the layouts in turn.
template <class F>
void for_shapes(F fn) {
    size_t i = 0;
    for (const ElementShape &shape : kShapes) {
        const Layout layout = kLayouts[i++ % 3];
        fn(shape, layout, shape_name(shape, layout));
    }
}

// The operator as a function of the builder and operands of the shape.
using Apply = std::function<TensorId(GraphBuilder &, TensorId, TensorId)>;

// tokens < 0: a symbol. `shared`: how many outer dimensions of b are left out (broadcast).
Result<Region> binary(const ElementShape &shape, Layout layout, uint32_t shared,
                      const Apply &apply) {
    GraphBuilder builder;
    const int64_t tokens = builder.symbol(1, shape.tokens, 1);
    const Shape a_shape = shape_of(shape, tokens);
    Shape b_shape;
    b_shape.rank = a_shape.rank - shared;
    for (uint32_t d = 0; d < b_shape.rank; ++d)
        b_shape.dims[d] = a_shape.dims[d + shared];
    const TensorId a = operand(builder, "a", a_shape, layout);
    const TensorId b = operand(builder, "b", b_shape, shared > 0 ? Layout::dense : layout);
    builder.output(apply(builder, a, b), "y");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    region.steps = steps_for(1, shape.tokens);
    return region;
}

Result<Region> unary(const ElementShape &shape, Layout layout, double spread, const Apply &apply) {
    GraphBuilder builder;
    const int64_t tokens = builder.symbol(1, shape.tokens, 1);
    const TensorId x = operand(builder, "x", shape_of(shape, tokens), layout);
    builder.output(apply(builder, x, kNoTensor), "y");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    region.steps = steps_for(1, shape.tokens);
    for (TensorId id = 0; id < region.graph.tensors().size(); ++id)
        region.spread[id] = {0, spread};
    return region;
}

// Rows with NaN and Inf beside ordinary ones.
Result<Region> poisoned(Random &random, const Apply &apply, bool two) {
    constexpr int64_t kTokens = 9, kWidth = 37;
    GraphBuilder builder;
    const TensorId a = builder.input("a", DType::F32, {kTokens, kWidth});
    const TensorId b = two ? builder.input("b", DType::F32, {kTokens, kWidth}) : kNoTensor;
    builder.output(apply(builder, a, b), "y");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    Step step;
    std::vector<float> &values = step.numbers[a];
    for (int64_t i = 0; i < kTokens * kWidth; ++i)
        values.push_back(static_cast<float>(random.normal()));
    values[2 * kWidth + 1] = std::numeric_limits<float>::quiet_NaN();
    values[5 * kWidth + 36] = -std::numeric_limits<float>::infinity();
    values[7 * kWidth] = std::numeric_limits<float>::infinity();
    step.free_rows = {2, 5, 7};
    region.steps.push_back(std::move(step));
    return region;
}

void add_binary(CaseList &cases, const char *suite, const Apply &apply, bool broadcasts) {
    for_shapes([&](const ElementShape &shape, Layout layout, const std::string &name) {
        add_operator_case(cases, suite, "F32", name,
                          [=](Random &) { return binary(shape, layout, 0, apply); });
        const uint32_t rank = shape.middle == 0 ? 2 : 3;
        for (uint32_t shared = 1; broadcasts && shared < rank; ++shared)
            add_operator_case(cases, suite, "F32", name + "_b" + std::to_string(rank - shared),
                              [=](Random &) { return binary(shape, layout, shared, apply); });
    });
    add_operator_case(cases, suite, "F32", "nan-rows",
                      [=](Random &random) { return poisoned(random, apply, true); });
}

struct Kind {
    UnaryKind kind;
    const char *name;
};
constexpr Kind kKinds[] = {
    {UnaryKind::silu, "silu"},         {UnaryKind::gelu, "gelu"},
    {UnaryKind::gelu_erf, "gelu_erf"}, {UnaryKind::gelu_quick, "gelu_quick"},
    {UnaryKind::relu, "relu"},         {UnaryKind::relu_squared, "relu_squared"},
    {UnaryKind::sigmoid, "sigmoid"},   {UnaryKind::tanh, "tanh"},
};

void add_unary(CaseList &cases) {
    for (const Kind &kind : kKinds) {
        const Apply apply = [=](GraphBuilder &builder, TensorId x, TensorId) {
            return builder.unary(kind.kind, x);
        };
        size_t i = 0;
        for_shapes([&](const ElementShape &shape, Layout layout, const std::string &name) {
            // Every third case reaches far into the tails, where exp over- and underflows.
            const double spread = i++ % 3 == 2 ? 60 : 2;
            add_operator_case(cases, "unary", "F32", std::string(kind.name) + "_" + name,
                              [=](Random &) { return unary(shape, layout, spread, apply); });
        });
        add_operator_case(cases, "unary", "F32", std::string(kind.name) + "_nan-rows",
                          [=](Random &random) { return poisoned(random, apply, false); });
    }
}

void add_glu(CaseList &cases) {
    for (const Kind &kind : kKinds) {
        const Apply apply = [=](GraphBuilder &builder, TensorId gate, TensorId up) {
            return builder.glu(kind.kind, gate, up);
        };
        const ElementShape &shape = kShapes[static_cast<size_t>(kind.kind) % std::size(kShapes)];
        for (const Layout layout : kLayouts)
            add_operator_case(cases, "glu", "F32",
                              std::string(kind.name) + "_" + shape_name(shape, layout),
                              [=](Random &) { return binary(shape, layout, 0, apply); });
    }
}

void add_scale(CaseList &cases) {
    struct Factors {
        float scale, bias;
    };
    constexpr Factors kFactors[] = {{0.125f, 0}, {-3.5f, 0.75f}, {0, 2}, {1, 0}};
    size_t i = 0;
    for_shapes([&](const ElementShape &shape, Layout layout, const std::string &name) {
        const Factors factors = kFactors[i++ % std::size(kFactors)];
        add_operator_case(cases, "scale", "F32", name, [=](Random &) {
            return unary(shape, layout, 3, [=](GraphBuilder &builder, TensorId x, TensorId) {
                return builder.scale(x, factors.scale, factors.bias);
            });
        });
    });
}

Result<Region> copy(const ElementShape &shape, Layout layout, DType from, DType to, double spread) {
    GraphBuilder builder;
    const int64_t tokens = builder.symbol(1, shape.tokens, 1);
    const TensorId x = operand(builder, "x", shape_of(shape, tokens), layout, from);
    builder.output(builder.copy(x, to), "y");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    region.steps = steps_for(1, shape.tokens);
    for (TensorId id = 0; id < region.graph.tensors().size(); ++id)
        region.spread[id] = {0, spread};
    return region;
}

// Rounding to nearest even is exact: ties, subnormals of F16, and overflow to infinity.
Result<Region> copy_corners(DType to) {
    GraphBuilder builder;
    std::vector<float> values = {0.0f, -0.0f, 65504.0f, 65519.99f, 65520.0f, -1e30f};
    for (const float tie : {1.0f + 0x1p-11f, 1.0f + 0x3p-11f, 1.0f + 0x1p-8f, 1.0f + 0x3p-8f})
        for (const float factor : {1.0f, -0x1p-10f, 0x1p-20f})
            values.push_back(tie * factor);
    for (const float small :
         {0x1p-24f, 0x1p-25f, 0x1.8p-25f, 0x1.00002p-25f, 0x1p-14f, 0x1.ffcp-15f})
        values.push_back(small);
    const auto width = static_cast<int64_t>(values.size());
    const TensorId x = builder.input("x", DType::F32, {1, width});
    builder.output(builder.copy(x, to), "y");
    Region region;
    RZ_ASSIGN(region.graph, std::move(builder).build());
    Step step;
    step.numbers[x] = values;
    region.steps.push_back(std::move(step));
    return region;
}

void add_copy(const Offer &offer, CaseList &cases) {
    constexpr DType kTypes[] = {DType::F32, DType::F16, DType::BF16};
    for (const DType from : kTypes) {
        if (!offer.claims(RZ_OP_COPY, static_cast<rz_dtype>(from))) continue;
        const char *type = dtype_info(from).name;
        for (const DType to : kTypes) {
            // The table speaks of the source; a target that the plugin never reads is left out.
            if (!offer.claims(RZ_OP_COPY, static_cast<rz_dtype>(to))) continue;
            const std::string prefix = std::string("to_") + dtype_info(to).name + "_";
            for_shapes([&](const ElementShape &shape, Layout layout, const std::string &name) {
                add_operator_case(cases, "copy", type, prefix + name,
                                  [=](Random &) { return copy(shape, layout, from, to, 3); });
            });
            if (from == DType::F32)
                add_operator_case(cases, "copy", type, prefix + "corners",
                                  [=](Random &) { return copy_corners(to); });
        }
    }
}

} // namespace

void add_elementwise_cases(const Offer &offer, CaseList &cases) {
    if (offer.claims(RZ_OP_ADD, RZ_DTYPE_F32))
        add_binary(
            cases, "add", [](GraphBuilder &b, TensorId x, TensorId y) { return b.add(x, y); },
            true);
    if (offer.claims(RZ_OP_MUL, RZ_DTYPE_F32))
        add_binary(
            cases, "mul", [](GraphBuilder &b, TensorId x, TensorId y) { return b.mul(x, y); },
            true);
    if (offer.claims(RZ_OP_SCALE, RZ_DTYPE_F32)) add_scale(cases);
    if (offer.claims(RZ_OP_UNARY, RZ_DTYPE_F32)) add_unary(cases);
    if (offer.claims(RZ_OP_GLU, RZ_DTYPE_F32)) add_glu(cases);
    add_copy(offer, cases);
}

} // namespace realizar::ctk
