// The backend "reference": instances, submissions and timelines.
#include "abi_session.h"

#include <functional>
#include <thread>

namespace realizar {
namespace {

using test::AbiError;
using test::AbiRun;
using test::AbiSession;
using test::AbiSubmit;

using Floats = std::vector<float>;
using Ints = std::vector<int32_t>;

// z = 2 x + 1 over [T, 3], and a cache that takes x in two heads' worth of cells.
struct Parts {
    Graph graph;
    TensorId x, cells, cache, z;
};

Parts make_parts() {
    GraphBuilder b;
    const int64_t t = b.symbol(0, 4, 1);
    Parts parts;
    parts.x = b.input("x", DType::F32, {t, 3});
    parts.cells = b.input("cells", DType::I32, {t});
    parts.cache = b.state("cache", DType::F16, {5, 1, 3}, 1);
    b.kv_write(parts.cache, b.reshape(parts.x, {t, 1, 3}), parts.cells);
    parts.z = b.scale(parts.x, 2, 1);
    b.output(parts.z, "z");
    auto graph = std::move(b).build();
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    parts.graph = std::move(*graph);
    return parts;
}

class Submit : public testing::Test {
  protected:
    static constexpr uint64_t kCacheBytes = 5 * 3 * 2;

    Submit() { EXPECT_CODE(RZ_OK, s.err, run.bind(parts.cache, cache, 16)); }
    ~Submit() override { s.api.buffer->destroy(cache); }

    // One submission of two tokens with everything right.
    AbiSubmit two_tokens() {
        AbiSubmit submit{run.instance, {2}, {}, {}, {}, {}};
        submit.update(parts.x, x);
        submit.update(parts.cells, cells);
        submit.read(parts.z, z);
        return submit;
    }
    uint64_t submissions() {
        rz_counters counters{};
        counters.struct_size = sizeof counters;
        EXPECT_CODE(RZ_OK, s.err, s.api.device->counters(s.device, &counters, &s.err));
        return counters.submissions;
    }

    AbiSession s;
    const Parts parts = make_parts();
    AbiRun run{s, parts.graph};
    rz_buffer *cache = s.buffer(16 + kCacheBytes);
    const Floats x{1, 2, 3, 4, 5, 6};
    const Ints cells{4, 0};
    Floats z = Floats(6);
};

TEST_F(Submit, ComputesAndChangesTheState) {
    EXPECT_CODE(RZ_OK, s.err, two_tokens().run(s));
    EXPECT_EQ(z, (Floats{3, 5, 7, 9, 11, 13}));
    const auto *halves = reinterpret_cast<const uint16_t *>(
        static_cast<const std::byte *>(s.api.buffer->map(cache)) + 16);
    EXPECT_EQ(halves[0], 0x4400);  // 4
    EXPECT_EQ(halves[12], 0x3c00); // 1
    EXPECT_EQ(halves[3], 0);
    EXPECT_EQ(submissions(), 1u);
}

TEST_F(Submit, InputsStayUntilTheyAreWritten) {
    EXPECT_CODE(RZ_OK, s.err, two_tokens().run(s));
    AbiSubmit next{run.instance, {2}, {}, {}, {}, {}};
    const Floats one{50};
    next.update(parts.x, one, 4);
    Floats part(2);
    next.read(parts.z, part, 3);
    EXPECT_CODE(RZ_OK, s.err, next.run(s));
    EXPECT_EQ(part, (Floats{9, 101}));
    // More tokens than before: what was never written is zero.
    AbiSubmit longer{run.instance, {4}, {}, {}, {}, {}};
    Floats all(12);
    longer.read(parts.z, all);
    EXPECT_CODE(RZ_OK, s.err, longer.run(s));
    EXPECT_EQ(all, (Floats{3, 5, 7, 9, 101, 13, 1, 1, 1, 1, 1, 1}));
}

TEST_F(Submit, NoTokensIsASubmissionToo) {
    AbiSubmit submit{run.instance, {0}, {}, {}, {}, {}};
    EXPECT_CODE(RZ_OK, s.err, submit.run(s));
    EXPECT_EQ(submissions(), 1u);
}

TEST(SubmitVector, OfNoTokensHasNoBytes) {
    AbiSession s;
    GraphBuilder b;
    const TensorId x = b.input("x", DType::F32, {b.symbol(0, 3, 1)});
    const TensorId y = b.scale(x, 2);
    b.output(y, "y");
    const auto graph = std::move(b).build();
    ASSERT_TRUE(graph.ok());
    AbiRun run(s, *graph);
    for (const size_t tokens : {0, 3, 0}) {
        const Floats in(tokens, 4.0f);
        Floats out(tokens);
        AbiSubmit submit{run.instance, {static_cast<int64_t>(tokens)}, {}, {}, {}, {}};
        submit.update(x, in);
        submit.read(y, out);
        EXPECT_CODE(RZ_OK, s.err, submit.run(s));
        EXPECT_EQ(out, Floats(tokens, 8.0f));
    }
}

TEST_F(Submit, BoundInputsAndOutputsLiveInBuffers) {
    rz_buffer *in = s.buffer(48), *out = s.buffer(64);
    EXPECT_CODE(RZ_OK, s.err, s.api.buffer->write(in, 0, x.data(), 24, &s.err));
    EXPECT_CODE(RZ_OK, s.err, run.bind(parts.x, in));
    EXPECT_CODE(RZ_OK, s.err, run.bind(parts.z, out, 16));
    AbiSubmit submit{run.instance, {2}, {}, {}, {}, {}};
    submit.update(parts.cells, cells);
    submit.read(parts.z, z);
    EXPECT_CODE(RZ_OK, s.err, submit.run(s));
    EXPECT_EQ(z, (Floats{3, 5, 7, 9, 11, 13}));
    EXPECT_EQ(static_cast<const float *>(s.api.buffer->map(out))[4 + 5], 13);
    s.api.buffer->destroy(in);
    s.api.buffer->destroy(out);
}

TEST_F(Submit, BindChecksEverythingFirst) {
    rz_buffer *small = s.buffer(47), *exact = s.buffer(48);
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err, run.bind(parts.x, small)); // the largest size counts
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err, run.bind(parts.x, exact, 16));
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err, run.bind(parts.x, exact, 8)); // alignment
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err, run.bind(parts.x, nullptr));
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err, run.bind(99, exact));
    const TensorId view = parts.graph.nodes()[0].inputs[1];
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err, run.bind(view, exact));
    const rz_binding pair[2] = {{sizeof(rz_binding), 0, parts.x, 0, exact, 0},
                                {sizeof(rz_binding), 0, parts.z, 0, small, 0}};
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err,
                s.api.instance->bind(run.instance, pair, sizeof pair[0], 2, &s.err));
    EXPECT_CODE(RZ_OK, s.err, two_tokens().run(s)); // x is still the instance's own
    EXPECT_EQ(z[0], 3);
    EXPECT_EQ(static_cast<const float *>(s.api.buffer->map(exact))[0], 0);
    s.api.buffer->destroy(small);
    s.api.buffer->destroy(exact);
}

TEST_F(Submit, ChecksEverythingBeforeItStarts) {
    rz_timeline *timeline = s.timeline(5);
    struct Case {
        const char *message;
        std::function<void(AbiSubmit &)> damage;
        rz_code code = RZ_INVALID_ARGUMENT;
    };
    const Case cases[] = {
        {"symbol 0: expected 0 to 4, found 5", [](AbiSubmit &a) { a.symbols = {5}; }},
        {"expected 1 symbol values, found 0", [](AbiSubmit &a) { a.symbols = {}; }},
        {"update of tensor 0: expected a range within its 12 bytes",
         [](AbiSubmit &a) { a.symbols = {1}; }},
        {"update: expected an input", [&](AbiSubmit &a) { a.updates[0].tensor = parts.z; }},
        {"update: expected an input", [](AbiSubmit &a) { a.updates[0].tensor = 1000; }},
        {"update of tensor", [](AbiSubmit &a) { a.updates[0].offset = UINT64_MAX; }},
        {"update: expected an address, found NULL",
         [](AbiSubmit &a) { a.updates[0].data = nullptr; }},
        {"update struct_size", [](AbiSubmit &a) { a.updates[1].struct_size = 0; }},
        {"update flags", [](AbiSubmit &a) { a.updates[1].flags = 4; }, RZ_UNSUPPORTED},
        {"read: expected an output", [&](AbiSubmit &a) { a.reads[0].tensor = parts.x; }},
        {"read of tensor", [](AbiSubmit &a) { a.reads[0].size = 25; }},
        {"wait 0: expected a timeline",
         [](AbiSubmit &a) {
             a.waits = {{nullptr, 1}};
         }},
        {"signal 0: expected a value above 5, found 5",
         [&](AbiSubmit &a) {
             a.signals = {{timeline, 5}};
         }},
    };
    for (const Case &c : cases) {
        SCOPED_TRACE(c.message);
        AbiSubmit submit = two_tokens();
        c.damage(submit);
        EXPECT_CODE(c.code, s.err, submit.run(s));
        EXPECT_NE(std::string(s.err.message).find(c.message), std::string::npos) << s.err.message;
    }
    const AbiSubmit complete = two_tokens();
    const rz_submit good = complete.arguments();
    rz_submit bad = good;
    bad.update_stride = 8;
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err, s.api.queue->submit(s.queue, &bad, &s.err));
    bad = good;
    bad.flags = 1;
    EXPECT_CODE(RZ_UNSUPPORTED, s.err, s.api.queue->submit(s.queue, &bad, &s.err));
    EXPECT_EQ(submissions(), 0u);
    EXPECT_EQ(z, Floats(6)); // nothing has happened
    uint64_t value = 0;
    EXPECT_CODE(RZ_OK, s.err, s.api.timeline->query(timeline, &value, &s.err));
    EXPECT_EQ(value, 5u);
    s.api.timeline->destroy(timeline);
}

TEST(SubmitState, UnboundStatesAreRefused) {
    AbiSession s;
    const Parts parts = make_parts();
    AbiRun run(s, parts.graph);
    const AbiSubmit submit{run.instance, {1}, {}, {}, {}, {}};
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err, submit.run(s));
    EXPECT_NE(std::string(s.err.message).find("'cache'"), std::string::npos) << s.err.message;
}

// Arrays of a newer core have longer elements.
TEST_F(Submit, HonoursStrides) {
    struct WideUpdate {
        rz_update update;
        uint64_t news;
    };
    const AbiSubmit submit = two_tokens();
    const WideUpdate wide[2] = {{submit.updates[0], ~0ull}, {submit.updates[1], ~0ull}};
    rz_submit arguments = submit.arguments();
    arguments.updates = &wide[0].update;
    arguments.update_stride = sizeof wide[0];
    EXPECT_CODE(RZ_OK, s.err, s.api.queue->submit(s.queue, &arguments, &s.err));
    EXPECT_EQ(z, (Floats{3, 5, 7, 9, 11, 13}));
}

TEST_F(Submit, WaitsForAnotherThreadAndSignals) {
    rz_timeline *gate = s.timeline(0), *done = s.timeline(10);
    AbiSubmit submit = two_tokens();
    submit.waits = {{gate, 1}};
    submit.signals = {{done, 12}};
    EXPECT_CODE(RZ_TIMEOUT, s.err, s.api.timeline->wait(done, 12, 0, &s.err));
    std::thread opener([&] {
        AbiError err;
        EXPECT_CODE(RZ_OK, err, s.api.timeline->signal(gate, 1, &err));
        EXPECT_CODE(RZ_OK, err, s.api.timeline->wait(done, 12, UINT64_MAX, &err));
        EXPECT_EQ(z[5], 13); // reads are done before the signal
    });
    EXPECT_CODE(RZ_OK, s.err, submit.run(s));
    opener.join();
    uint64_t value = 0;
    EXPECT_CODE(RZ_OK, s.err, s.api.timeline->query(done, &value, &s.err));
    EXPECT_EQ(value, 12u);
    EXPECT_CODE(RZ_INVALID_ARGUMENT, s.err, s.api.timeline->signal(done, 12, &s.err));
    s.api.timeline->destroy(gate);
    s.api.timeline->destroy(done);
}

TEST_F(Submit, FailuresTravelAlongTimelines) {
    rz_timeline *first = s.timeline(0), *second = s.timeline(0);
    AbiSubmit bad = two_tokens(); // the instance's own inputs take memory when first used
    bad.signals = {{first, 1}};
    s.out_of_memory = true;
    EXPECT_CODE(RZ_OK, s.err, bad.run(s)); // delivered through the signals
    s.out_of_memory = false;
    EXPECT_CODE(RZ_OUT_OF_MEMORY, s.err, s.api.timeline->wait(first, 1, 0, &s.err));
    AbiSubmit dependent = two_tokens();
    dependent.waits = {{first, 1}};
    dependent.signals = {{second, 1}};
    EXPECT_CODE(RZ_OK, s.err, dependent.run(s));
    EXPECT_CODE(RZ_OUT_OF_MEMORY, s.err, s.api.timeline->wait(second, 1, 0, &s.err));
    EXPECT_EQ(z, Floats(6)); // it has not run
    uint64_t value = 9;
    EXPECT_CODE(RZ_OK, s.err, s.api.timeline->query(second, &value, &s.err));
    EXPECT_EQ(value, 0u);
    s.api.timeline->destroy(first);
    s.api.timeline->destroy(second);
}

// One submission of an instance at a time, whatever the queues do (thread sanitizer).
TEST_F(Submit, QueuesShareAnInstance) {
    const AbiSubmit submit{run.instance, {2}, {}, {}, {}, {}};
    const auto work = [&] {
        AbiError err;
        rz_queue *queue = nullptr;
        EXPECT_CODE(RZ_OK, err, s.api.queue->create(s.device, &queue, &err));
        const rz_submit arguments = submit.arguments();
        for (int i = 0; i < 50; ++i)
            EXPECT_CODE(RZ_OK, err, s.api.queue->submit(queue, &arguments, &err));
        s.api.queue->destroy(queue);
    };
    std::thread a(work), b(work);
    a.join();
    b.join();
    EXPECT_EQ(submissions(), 100u);
}

TEST_F(Submit, WaitTimesOut) {
    rz_timeline *timeline = s.timeline(3);
    EXPECT_CODE(RZ_OK, s.err, s.api.timeline->wait(timeline, 3, 0, &s.err));
    EXPECT_CODE(RZ_TIMEOUT, s.err, s.api.timeline->wait(timeline, 4, 1000000, &s.err));
    s.api.timeline->destroy(timeline);
}

} // namespace
} // namespace realizar
