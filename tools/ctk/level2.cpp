#include "tools/ctk/level2.h"

#include "core/quant/codec.h"
#include "tools/ctk/levels.h"

#include <algorithm>
#include <numeric>

namespace realizar::ctk {

const char *layout_name(Layout layout) {
    switch (layout) {
    case Layout::dense: return "dense";
    case Layout::columns: return "columns";
    case Layout::split: return "split";
    }
    return "";
}

TensorId operand(GraphBuilder &builder, const std::string &name, const Shape &shape, Layout layout,
                 DType dtype) {
    // Odd on purpose: a plugin must not count on rows that are aligned to vectors.
    constexpr int64_t kBefore = 3, kAfter = 5;
    if (layout == Layout::dense) return builder.input(name, dtype, shape);
    Shape wide = shape;
    if (layout == Layout::split && shape.rank == 3) {
        wide.rank = 2;
        wide.dims = {shape.dims[0], shape.dims[1] * shape.dims[2] + kBefore + kAfter};
        const TensorId storage = builder.input(name, dtype, wide);
        const TensorId slice = builder.slice_inner(storage, kBefore, shape.dims[1] * shape.dims[2]);
        return builder.split_inner(slice, shape.dims[2]);
    }
    wide.dims[wide.rank - 1] += kBefore + kAfter;
    const TensorId storage = builder.input(name, dtype, wide);
    return builder.slice_inner(storage, kBefore, shape.inner());
}

void add_operator_case(CaseList &cases, const std::string &suite, const std::string &type,
                       const std::string &name, MakeRegion make) {
    cases.push_back({2, suite, type, name, [make = std::move(make)](Context &context) -> Status {
                         RZ_ASSIGN(Session * session, context.session());
                         Random random(context.seed);
                         RZ_ASSIGN(const Region region, make(random));
                         const rz_graph view = region.graph.view();
                         std::vector<uint8_t> states(region.graph.nodes().size(), 0xEE);
                         AbiError error;
                         RZ_TRY(expect_ok(session->api().device->classify(session->device(), &view,
                                                                          states.data(), &error),
                                          error, "device.classify"));
                         for (const uint8_t state : states)
                             CTK_CHECK(state == RZ_NODE_YES,
                                       "device.classify: the capability table claims this node, "
                                       "found state %u",
                                       state);
                         return judge(*session, region, context.seed);
                     }});
}

std::vector<Step> steps_for(int64_t min, int64_t max) {
    std::vector<Step> steps;
    for (const int64_t value : {min, (min + max) / 2, max, min + (max > min ? 1 : 0)}) {
        Step step;
        step.symbols = {value};
        steps.push_back(std::move(step));
    }
    return steps;
}

std::vector<int32_t> random_integers(Random &random, int64_t count, int64_t low, int64_t high) {
    std::vector<int32_t> out;
    for (int64_t i = 0; i < count; ++i)
        out.push_back(static_cast<int32_t>(random.integer(low, high)));
    return out;
}

std::vector<int32_t> random_permutation(Random &random, int64_t count) {
    std::vector<int32_t> out(static_cast<size_t>(count));
    std::iota(out.begin(), out.end(), 0);
    for (int64_t i = count - 1; i > 0; --i)
        std::swap(out[static_cast<size_t>(i)], out[static_cast<size_t>(random.integer(0, i))]);
    return out;
}

std::vector<DType> claimed_types(const Offer &offer, uint32_t op) {
    std::vector<DType> out;
    for (const DTypeInfo &info : dtype_table()) {
        if (find_codec(info.dtype) != nullptr &&
            offer.claims(op, static_cast<rz_dtype>(info.dtype)))
            out.push_back(info.dtype);
    }
    return out;
}

// Claims that this build of the kit has no codec for: named, so that nobody takes them for tested.
static void add_unjudged_cases(const Offer &offer, CaseList &cases) {
    for (const uint32_t op : {RZ_OP_GET_ROWS, RZ_OP_MATMUL})
        for (const DTypeInfo &info : dtype_table()) {
            if (find_codec(info.dtype) != nullptr ||
                !offer.claims(op, static_cast<rz_dtype>(info.dtype)))
                continue;
            cases.push_back(
                {2, op == RZ_OP_MATMUL ? "matmul" : "get_rows", info.name, "unjudged",
                 [](Context &) -> Status { return unsupported("this kit cannot read the type"); }});
        }
}

void add_operator_cases(const Offer &offer, CaseList &cases) {
    add_unjudged_cases(offer, cases);
    add_row_cases(offer, cases);
    add_elementwise_cases(offer, cases);
    add_norm_cases(offer, cases);
    add_rope_cases(offer, cases);
    add_select_cases(offer, cases);
    add_sample_cases(offer, cases);
    add_kv_write_cases(offer, cases);
    add_attention_cases(offer, cases);
    add_expert_cases(offer, cases);
    add_recurrent_cases(offer, cases);
}

} // namespace realizar::ctk
