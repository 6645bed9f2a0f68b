// Level 1, failures: how they travel through timelines, memory that runs out, cancellation, and
// weights that are loaded wrongly.
#include "tools/ctk/adder.h"
#include "tools/ctk/device_region.h"
#include "tools/ctk/fault_extension.h"
#include "tools/ctk/levels.h"

#include <thread>

namespace realizar::ctk {
namespace {

constexpr Adder::Row kOnes = {1, 1, 1, 1, 1};

Status fails_with(Session &session, rz_timeline *timeline, uint64_t value, const char *what) {
    AbiError error;
    return expect_refused(session.api().timeline->wait(timeline, value, kWaitNs, &error),
                          RZ_DEVICE_LOST, error, what);
}

// first fails; second waits on first, third on second (other queue): all fail the same way, and
// what does not depend on them goes on.
Status failures_travel(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    const auto *fault =
        static_cast<const rz_ext_fault *>(session->api().get_extension(RZ_EXT_FAULT));
    if (fault == nullptr)
        return unsupported("the plugin cannot fail on purpose (" RZ_EXT_FAULT ")");
    RZ_ASSIGN(const auto first, Adder::create(*session, kOnes));
    RZ_ASSIGN(const auto second, Adder::sibling(*first, kOnes));
    RZ_ASSIGN(const auto third, Adder::sibling(*first, kOnes));
    RZ_ASSIGN(const auto bystander, Adder::sibling(*first, kOnes));
    RZ_TRY(first->run(2, 0));
    CTK_CHECK(fault->fail_next(session->device(), RZ_DEVICE_LOST) == RZ_OK,
              RZ_EXT_FAULT ": fail_next refused");
    AbiError error;
    RZ_TRY(expect_ok(first->submit(first->submission(3, 0), error), error,
                     "queue.submit of the work that will fail"));
    RZ_TRY(fails_with(*session, first->timeline(), first->signalled, "wait for failed work"));
    RZ_TRY(fails_with(*session, first->timeline(), 1, "wait for a point below the failed one"));
    Adder *before = first.get();
    for (Adder *after : {second.get(), third.get()}) {
        Submission submission = after->submission(1, 0);
        submission.waits = {{before->timeline(), before->signalled}};
        RZ_TRY(expect_ok(after->submit(submission, error), error,
                         "queue.submit of work that waits on failed work"));
        RZ_TRY(fails_with(*session, after->timeline(), after->signalled,
                          "wait for work that waited on failed work"));
        for (const float value : after->y)
            CTK_CHECK(value != value, "work that waited on failed work ran");
        before = after;
    }
    return bystander->run(4, 9);
}

// A thread that waits already when the work fails must wake with the failure.
Status failures_wake_waiters(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    const auto *fault =
        static_cast<const rz_ext_fault *>(session->api().get_extension(RZ_EXT_FAULT));
    if (fault == nullptr)
        return unsupported("the plugin cannot fail on purpose (" RZ_EXT_FAULT ")");
    RZ_ASSIGN(const auto adder, Adder::create(*session, kOnes));
    rz_code woken = RZ_OK;
    std::thread waiter(
        [&] { woken = session->api().timeline->wait(adder->timeline(), 5, kWaitNs, nullptr); });
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    (void)fault->fail_next(session->device(), RZ_DEVICE_LOST);
    AbiError error;
    const rz_code submitted = adder->submit(adder->submission(1, 0), error);
    waiter.join();
    RZ_TRY(expect_ok(submitted, error, "queue.submit of the work that will fail"));
    CTK_CHECK(woken == RZ_DEVICE_LOST, "a waiting thread: expected RZ_DEVICE_LOST, found %s",
              abi_code_name(woken).c_str());
    return {};
}

// rz_host.alloc fails at every possible place of a model's way. Each step either works or says
// RZ_OUT_OF_MEMORY; afterwards the device still computes.
Status memory_runs_out(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    KitHost &host = session->host();
    const auto way = [&]() -> Status {
        RZ_ASSIGN(const auto adder, Adder::create(*session, kOnes));
        return adder->run(8, 1);
    };
    const uint64_t before = host.allocation_calls();
    RZ_TRY(way());
    const uint64_t calls = host.allocation_calls() - before;
    const uint64_t held = host.allocated();
    for (uint64_t n = 0; n < calls; ++n) {
        host.fail_allocations_after(n);
        const Status status = way();
        host.allow_allocations();
        if (!status)
            CTK_CHECK(status.error().message.find("RZ_OUT_OF_MEMORY") != std::string::npos,
                      "allocation %llu of %llu failed: expected RZ_OUT_OF_MEMORY, found: %s",
                      static_cast<unsigned long long>(n), static_cast<unsigned long long>(calls),
                      status.error().message.c_str());
        CTK_CHECK(host.allocated() <= held, "allocation %llu failed: the plugin kept %llu blocks",
                  static_cast<unsigned long long>(n),
                  static_cast<unsigned long long>(host.allocated() - held));
    }
    return way();
}

Status cancellation(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    RZ_ASSIGN(const AdderGraph adder, AdderGraph::make(*session));
    session->host().cancel(true);
    const rz_graph view = adder.graph.view();
    Owned<rz_program> program(nullptr, nullptr);
    AbiError error;
    const rz_code code = try_compile(*session, view, nullptr, 0, program, error);
    session->host().cancel(false);
    // Work that is too short to look is fine.
    if (code != RZ_OK)
        RZ_TRY(expect_refused(code, RZ_CANCELLED, error, "program.compile while cancelled"));
    RZ_ASSIGN(const auto after, Adder::create(*session, kOnes));
    return after->run(2, 0);
}

struct WeightScene {
    Graph graph;
    Leaves leaves;
    uint64_t row = 0; // bytes
};
constexpr uint64_t kKey = 81, kRows = 12;

Result<WeightScene> weight_scene(Session &session, Random &random) {
    if (!session.claims(RZ_OP_MATMUL, RZ_DTYPE_F32)) return unsupported("needs MATMUL of F32");
    WeightScene scene;
    GraphBuilder builder;
    const TensorId w = builder.weight("w", DType::F32, {kRows, 40}, kKey);
    const TensorId x = builder.input("x", DType::F32, {3, 40});
    builder.output(builder.matmul(w, x), "y");
    RZ_ASSIGN(scene.graph, std::move(builder).build());
    scene.leaves.resize(scene.graph.tensors().size());
    scene.leaves[w] = random_bytes(RZ_DTYPE_F32, std::vector<int64_t>{kRows, 40}, {}, random);
    scene.row = scene.leaves[w].size() / kRows;
    return scene;
}

Status wrong_loads(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    const rz_weights_api &api = *session->api().weights;
    Random random(context.seed);
    RZ_ASSIGN(const WeightScene scene, weight_scene(*session, random));
    const rz_graph view = scene.graph.view();
    AbiError error;
    rz_weights *handle = nullptr;
    RZ_TRY(expect_ok(api.create(session->device(), &view, 0, &handle, &error), error,
                     "weights.create"));
    const Owned<rz_weights> weights(handle, api.destroy);
    const Bytes data(scene.row * (kRows + 1));
    const auto load = [&](uint64_t key, uint64_t row, uint64_t count, uint64_t size) {
        return api.load(handle, key, row, count, data.data(), size, 0, &error);
    };
    const auto refuse = [&](rz_code code, const char *what) {
        return expect_refused(code, RZ_INVALID_ARGUMENT, error, what);
    };
    RZ_TRY(refuse(load(kKey + 1, 0, 1, scene.row), "weights.load of an unknown key"));
    RZ_TRY(
        refuse(load(kKey, 0, kRows + 1, scene.row * (kRows + 1)), "weights.load of too many rows"));
    RZ_TRY(
        refuse(load(kKey, UINT64_MAX, 2, scene.row * 2), "weights.load of rows that wrap around"));
    RZ_TRY(refuse(load(kKey, 0, 2, scene.row * 2 - 1), "weights.load of too few bytes"));
    RZ_TRY(refuse(api.finish(handle, &error), "weights.finish without any row"));
    RZ_TRY(expect_ok(load(kKey, 0, 5, scene.row * 5), error, "weights.load"));
    RZ_TRY(refuse(load(kKey, 4, 2, scene.row * 2), "weights.load of a row that was loaded"));
    RZ_TRY(refuse(api.finish(handle, &error), "weights.finish with rows missing"));
    RZ_TRY(expect_ok(load(kKey, 5, kRows - 5, scene.row * (kRows - 5)), error, "weights.load"));
    return expect_ok(api.finish(handle, &error), error, "weights.finish");
}

Status budgets(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    const rz_weights_api &api = *session->api().weights;
    Random random(context.seed);
    RZ_ASSIGN(const WeightScene scene, weight_scene(*session, random));
    const rz_graph view = scene.graph.view();
    rz_weights_plan plan{};
    plan.struct_size = sizeof plan;
    AbiError error;
    RZ_TRY(expect_ok(api.plan(session->device(), &view, &plan, &error), error, "weights.plan"));
    CTK_CHECK(plan.resident + plan.aliased >= scene.row * kRows,
              "weights.plan: expected %llu bytes at least, found %llu resident and %llu aliased",
              static_cast<unsigned long long>(scene.row * kRows),
              static_cast<unsigned long long>(plan.resident),
              static_cast<unsigned long long>(plan.aliased));
    if (plan.resident < 2) return {};
    rz_weights *handle = nullptr;
    const rz_code code = api.create(session->device(), &view, plan.resident / 2, &handle, &error);
    const Owned<rz_weights> weights(handle, api.destroy);
    return expect_refused(code, RZ_OUT_OF_MEMORY, error, "weights.create over its budget");
}

// compile without the weights that the graph names.
Status missing_weights(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    Random random(context.seed);
    RZ_ASSIGN(const WeightScene scene, weight_scene(*session, random));
    const rz_graph view = scene.graph.view();
    Owned<rz_program> program(nullptr, nullptr);
    AbiError error;
    const rz_code code = try_compile(*session, view, nullptr, 0, program, error);
    return expect_refused(code, RZ_INVALID_ARGUMENT, error, "program.compile without weights");
}

} // namespace

void add_fault_cases(CaseList &cases) {
    const auto add = [&](const char *name, Status (*test)(Context &)) {
        cases.push_back({1, "fault", "", name, test});
    };
    add("failures-travel", failures_travel);
    add("failures-wake-waiters", failures_wake_waiters);
    add("memory-runs-out", memory_runs_out);
    add("cancellation", cancellation);
    add("wrong-loads", wrong_loads);
    add("budgets", budgets);
    add("missing-weights", missing_weights);
}

} // namespace realizar::ctk
