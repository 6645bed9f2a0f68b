// The capability table itself, and what is not in it: classify and compile must say no, not die.
#include "tools/ctk/device_region.h"
#include "tools/ctk/levels.h"

#include "core/graph/infer.h"

namespace realizar::ctk {
namespace {

TensorId recurrent_node(GraphBuilder &b, uint32_t op, DType dtype, const RowPlaces &rows) {
    constexpr int64_t kSequences = 2, kHeads = 32, kSize = 5;
    const auto x = [&](const char *name, Shape shape) { return b.input(name, DType::F32, shape); };
    if (op == RZ_OP_SSM_CONV)
        return b.ssm_conv(b.state("state", dtype, {kSequences, 3, kHeads}, 2), x("x", {2, kHeads}),
                          x("weight", {kHeads, 4}), kNoTensor, rows);
    return b.ssm_scan(b.state("state", dtype, {kSequences, kHeads, 1, kSize}, 2),
                      {x("x", {2, kHeads, 1}), x("dt", {2, kHeads}), x("a", {kHeads, kSize}),
                       x("b", {2, 1, kSize}), x("c", {2, 1, kSize})},
                      rows);
}

// A graph of one node of the op whose typed operand has this dtype; nothing if the contract does
// not allow the type.
Result<Graph> minimal_graph(uint32_t op, DType dtype) {
    const int64_t block = dtype_info(dtype).block_elements;
    const int64_t width = std::max<int64_t>(block, 32);
    GraphBuilder b;
    const auto x = [&](Shape shape) { return b.input("x", dtype, shape); };
    const auto ints = [&](const char *name, Shape shape) {
        return b.input(name, DType::I32, shape);
    };
    TensorId y = kNoTensor;
    switch (op) {
    case RZ_OP_GET_ROWS:
        y = b.get_rows(b.weight("w", dtype, {4, width}, 1), ints("ids", {2}));
        break;
    case RZ_OP_MATMUL:
        y = b.matmul(b.weight("w", dtype, {4, width}, 1), b.input("x", DType::F32, {2, width}));
        break;
    case RZ_OP_ADD: y = b.add(x({2, width}), x({2, width})); break;
    case RZ_OP_MUL: y = b.mul(x({2, width}), x({2, width})); break;
    case RZ_OP_SCALE: y = b.scale(x({2, width}), 2); break;
    case RZ_OP_RMS_NORM: y = b.rms_norm(x({2, width}), kNoTensor, 1e-5f); break;
    case RZ_OP_LAYER_NORM: y = b.layer_norm(x({2, width}), kNoTensor, kNoTensor, 1e-5f); break;
    case RZ_OP_ROPE: {
        RopeParams params;
        params.rotated = 32;
        y = b.rope(x({2, 3, width}), ints("positions", {2}), kNoTensor, params);
        break;
    }
    case RZ_OP_KV_WRITE: {
        const TensorId rows = b.input("x", DType::F32, {2, 3, width});
        b.kv_write(b.state("cache", dtype, {4, 3, width}, 2), rows, ints("cells", {2}));
        return std::move(b).build();
    }
    case RZ_OP_ATTENTION: {
        const AttentionInputs inputs = {ints("positions", {2}), ints("sequences", {2}),
                                        ints("pages", {1, 4}), ints("lengths", {1})};
        const TensorId q = b.input("q", DType::F32, {2, 3, width});
        y = b.attention(q, b.state("k", dtype, {4, 3, width}, 2),
                        b.state("v", dtype, {4, 3, width}, 3), inputs, kNoTensor, {});
        break;
    }
    case RZ_OP_UNARY: y = b.unary(UnaryKind::silu, x({2, width})); break;
    case RZ_OP_GLU: y = b.glu(UnaryKind::silu, x({2, width}), x({2, width})); break;
    case RZ_OP_SOFTMAX: y = b.softmax(x({2, width}), 1); break;
    case RZ_OP_ARGMAX: y = b.argmax(x({2, width})); break;
    case RZ_OP_TOP_K: y = b.top_k(x({2, width}), 3).values; break;
    case RZ_OP_COPY: y = b.copy(x({2, width}), DType::F32); break;
    case RZ_OP_CLAMP: y = b.clamp(x({2, width}), -1, 1); break;
    case RZ_OP_CONCAT: y = b.concat(x({2, width}), x({2, width})); break;
    case RZ_OP_ROUTE: y = b.route(x({2, width}), kNoTensor, {}).weights; break;
    case RZ_OP_EXPERT_MATMUL:
        y = b.expert_matmul(b.weight("w", dtype, {3, 4, width}, 1),
                            b.input("x", DType::F32, {2, 1, width}), ints("experts", {2, 2}),
                            kNoTensor);
        break;
    case RZ_OP_WEIGHTED_SUM:
        y = b.weighted_sum(x({2, 3, width}), b.input("weights", DType::F32, {2, 3}));
        break;
    case RZ_OP_SAMPLE:
        y = b.sample(x({2, width}), ints("tokens", {2, width}), b.input("d", DType::F32, {2, 5}));
        break;
    case RZ_OP_SSM_CONV:
    case RZ_OP_SSM_SCAN:
        y = recurrent_node(b, op, dtype, {ints("positions", {2}), ints("sequences", {2})});
        break;
    default: return make_error(Code::unsupported, "unknown_op", "op %u", op);
    }
    b.output(y, "y");
    return std::move(b).build();
}

std::string describe_node(uint32_t op, DType dtype) {
    return std::string(op_name(op)) + " of " + dtype_info(dtype).name;
}

// classify says NO, and compile says RZ_UNSUPPORTED with the node.
Status refuses(Session &session, const Graph &graph, const std::string &what) {
    const rz_graph view = graph.view();
    std::vector<uint8_t> states(graph.nodes().size(), 0xEE);
    AbiError error;
    RZ_TRY(expect_ok(session.api().device->classify(session.device(), &view, states.data(), &error),
                     error, ("device.classify for " + what).c_str()));
    CTK_CHECK(states[0] == RZ_NODE_NO,
              "%s: the capability table does not claim it, device.classify says %s", what.c_str(),
              states[0] == RZ_NODE_YES ? "YES" : "something unknown");
    rz_weights *weights = nullptr;
    bool needs_weights = false;
    for (const rz_tensor &tensor : graph.tensors())
        needs_weights = needs_weights || tensor.role == RZ_ROLE_WEIGHT;
    AbiError refused;
    if (needs_weights) {
        // A plugin may refuse a type that it cannot compute with already here.
        const rz_code code =
            session.api().weights->create(session.device(), &view, 0, &weights, &refused);
        if (code != RZ_OK)
            return expect_refused(code, RZ_UNSUPPORTED, refused,
                                  ("weights.create for " + what).c_str());
    }
    const Owned<rz_weights> owner(weights, session.api().weights->destroy);
    Owned<rz_program> program(nullptr, nullptr);
    const rz_code code = try_compile(session, view, weights, 0, program, refused);
    RZ_TRY(expect_refused(code, RZ_UNSUPPORTED, refused, ("program.compile of " + what).c_str()));
    CTK_CHECK(refused.node == 0, "program.compile of %s: expected node 0 in rz_error, found %u",
              what.c_str(), refused.node);
    return {};
}

Status unclaimed_is_refused(Context &context, uint32_t op) {
    RZ_ASSIGN(Session * session, context.session());
    for (const DTypeInfo &info : dtype_table()) {
        if (session->claims(op, static_cast<rz_dtype>(info.dtype))) continue;
        const auto graph = minimal_graph(op, info.dtype);
        if (!graph) continue; // the contract does not have this type
        RZ_TRY(refuses(*session, *graph, describe_node(op, info.dtype)));
    }
    return {};
}

Status claimed_is_classified(Context &context, uint32_t op) {
    RZ_ASSIGN(Session * session, context.session());
    size_t claimed = 0;
    for (const DTypeInfo &info : dtype_table()) {
        if (!session->claims(op, static_cast<rz_dtype>(info.dtype))) continue;
        ++claimed;
        const auto graph = minimal_graph(op, info.dtype);
        CTK_CHECK(graph.ok(), "%s: the capability table claims what the contract does not have: %s",
                  describe_node(op, info.dtype).c_str(), graph.error().message.c_str());
        const rz_graph view = graph->view();
        std::vector<uint8_t> states(graph->nodes().size(), 0xEE);
        AbiError error;
        RZ_TRY(expect_ok(
            session->api().device->classify(session->device(), &view, states.data(), &error), error,
            "device.classify"));
        CTK_CHECK(states[0] == RZ_NODE_YES, "%s: the capability table claims it, classify says NO",
                  describe_node(op, info.dtype).c_str());
    }
    if (claimed == 0) return unsupported(std::string(op_name(op)) + " is not claimed");
    return {};
}

Status table_is_sane(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    for (const rz_capability &row : session->capabilities()) {
        CTK_CHECK((row.flags & 0xffffu) == 0, "capability of op %u: unknown required flags",
                  row.op);
        CTK_CHECK(row.op > 0 && row.op < RZ_OP_COUNT, "capability of the unknown op %u", row.op);
        CTK_CHECK(row.version == 1, "capability of %s: expected version 1, found %u",
                  op_name(row.op), row.version);
        CTK_CHECK(row.dtypes != 0, "capability of %s: no element type", op_name(row.op));
        for (uint32_t id = 0; id < 64; ++id)
            CTK_CHECK((row.dtypes & RZ_DTYPE_BIT(id)) == 0 || find_dtype(id) != nullptr,
                      "capability of %s: unknown element type %u", op_name(row.op), id);
    }
    return {};
}

} // namespace

void add_claim_cases(const Offer &, CaseList &cases) {
    cases.push_back({2, "claims", "", "table", table_is_sane});
    for (uint32_t op = 1; op < RZ_OP_COUNT; ++op) {
        cases.push_back({2, "claims", "", std::string("claimed-") + op_name(op),
                         [=](Context &context) { return claimed_is_classified(context, op); }});
        cases.push_back({2, "claims", "", std::string("unclaimed-") + op_name(op),
                         [=](Context &context) { return unclaimed_is_refused(context, op); }});
    }
}

} // namespace realizar::ctk
