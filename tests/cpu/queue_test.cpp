// Submissions: order, waits, failures, many threads, and no allocation once warm.
#include "backend.h"

#include "plugins/cpu/timeline.h"

#include "core/graph/builder.h"
#include "tests/graph/random_graph.h"

#include <algorithm>
#include <numeric>

namespace {
// Calls of malloc by any code of the process, TBB's own included.
std::atomic<uint64_t> malloc_calls{0};
} // namespace

#if REALIZAR_SANITIZER_KIND == RZ_SANITIZER_NONE
extern "C" {
void *__libc_malloc(size_t size);
void *malloc(size_t size) {
    malloc_calls.fetch_add(1, std::memory_order_relaxed);
    return __libc_malloc(size);
}
}
#endif

namespace realizar::cpu::test {
namespace {

using realizar::test::make_random_graph;
using realizar::test::RandomGraph;

class Queues : public testing::Test {
  protected:
    rz_timeline *timeline(uint64_t initial) {
        rz_timeline *out = nullptr;
        EXPECT_CODE(RZ_OK, backend.err,
                    backend.api.timeline->create(backend.device, initial, &out, &backend.err));
        timelines_.push_back(out);
        return out;
    }
    rz_code wait(rz_timeline *t, uint64_t value, uint64_t timeout_ns = UINT64_MAX) {
        return backend.api.timeline->wait(t, value, timeout_ns, &backend.err);
    }
    void TearDown() override {
        for (rz_timeline *t : timelines_)
            backend.api.timeline->destroy(t);
    }

    Backend backend{3};
    RandomGraph random = make_random_graph(11, 20);

  private:
    std::vector<rz_timeline *> timelines_;
};

TEST_F(Queues, SignalsWhenDone) {
    Loaded loaded(backend, random.graph, random.symbols, random.leaves);
    rz_timeline *t = timeline(3);
    EXPECT_CODE(RZ_OK, backend.err, loaded.submit({}, {{t, 7}}));
    EXPECT_CODE(RZ_OK, backend.err, wait(t, 7));
    uint64_t value = 0;
    EXPECT_CODE(RZ_OK, backend.err, backend.api.timeline->query(t, &value, &backend.err));
    EXPECT_EQ(value, 7u);
    EXPECT_CODE(RZ_TIMEOUT, backend.err, wait(t, 8, 1000));
    // A signal must rise.
    EXPECT_CODE(RZ_INVALID_ARGUMENT, backend.err, loaded.submit({}, {{t, 7}}));
    EXPECT_EQ(backend.counters().submissions, 1u);
}

// The update's bytes are those at the time of submit, although the work starts later.
TEST_F(Queues, WorkWaitsForItsPoints) {
    Loaded loaded(backend, random.graph, random.symbols, random.leaves);
    EXPECT_CODE(RZ_OK, backend.err, loaded.submit());
    const TensorId out = random.graph.outputs()[0];
    const auto expected = loaded.result(out);
    rz_timeline *gate = timeline(0), *done = timeline(0);
    EXPECT_CODE(RZ_OK, backend.err, loaded.submit({{gate, 1}}, {{done, 1}}));
    EXPECT_CODE(RZ_OK, backend.err, loaded.submit({}, {{done, 2}})); // queues up behind
    EXPECT_CODE(RZ_TIMEOUT, backend.err, wait(done, 1, 20'000'000));
    EXPECT_EQ(backend.counters().submissions, 1u);
    EXPECT_CODE(RZ_OK, backend.err, backend.api.timeline->signal(gate, 1, &backend.err));
    EXPECT_CODE(RZ_OK, backend.err, wait(done, 2));
    EXPECT_EQ(loaded.result(out), expected);
    EXPECT_EQ(backend.counters().submissions, 3u);
}

TEST_F(Queues, FailureOfATimelineIsPassedOn) {
    Loaded loaded(backend, random.graph, random.symbols, random.leaves);
    rz_timeline *gate = timeline(0), *done = timeline(0);
    // Only a submission can fail a timeline; this stands for one on another device.
    gate->fail(RZ_DEVICE_LOST, "the cable is out");
    EXPECT_CODE(RZ_OK, backend.err, loaded.submit({{gate, 1}}, {{done, 1}}));
    EXPECT_CODE(RZ_DEVICE_LOST, backend.err, wait(done, 1));
    EXPECT_STREQ(backend.err.message, "the cable is out");
}

TEST_F(Queues, StatesMustBeBound) {
    const rz_graph view = random.graph.view();
    Loaded loaded(backend, random.graph, random.symbols, random.leaves);
    rz_instance *unbound = nullptr;
    EXPECT_CODE(RZ_OK, backend.err,
                backend.api.instance->create(loaded.program, &unbound, &backend.err));
    rz_submit submit{};
    submit.struct_size = sizeof submit;
    submit.instance = unbound;
    submit.symbols = random.symbols.data();
    submit.symbol_count = view.symbol_count;
    EXPECT_CODE(RZ_INVALID_ARGUMENT, backend.err,
                backend.api.queue->submit(backend.queue, &submit, &backend.err));
    backend.api.instance->destroy(unbound);
}

// Instances of one program on queues of their own, on several threads at once.
TEST_F(Queues, ManyThreads) {
    Loaded first(backend, random.graph, random.symbols, random.leaves);
    EXPECT_CODE(RZ_OK, backend.err, first.submit());
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            Backend own(2);
            Loaded loaded(own, random.graph, random.symbols, random.leaves);
            for (int run = 0; run < 20; ++run) {
                if (loaded.submit() != RZ_OK) ++wrong;
                for (const TensorId out : random.graph.outputs())
                    if (loaded.result(out) != first.result(out)) ++wrong;
            }
        });
    for (std::thread &t : threads)
        t.join();
    EXPECT_EQ(wrong, 0);
}

// A model of useful size, so that phases really fork.
TEST_F(Queues, WarmSubmitsAllocateNothing) {
    GraphBuilder b;
    const int64_t t = b.symbol(1, 64, 1);
    const TensorId x = b.input("x", DType::F32, {t, 512});
    TensorId h = x;
    std::vector<TensorId> weights;
    for (uint64_t layer = 0; layer < 3; ++layer) {
        weights.push_back(b.weight("w", DType::Q8_0, {512, 512}, layer));
        h = b.add(h, b.matmul(weights.back(), b.rms_norm(h, kNoTensor, 1e-5f)));
    }
    b.output(h, "y");
    auto graph = std::move(b).build();
    ASSERT_TRUE(graph.ok()) << graph.error().message;
    std::vector<RefValue> leaves(graph->tensors().size());
    leaves[x] = {{64, 512}, std::vector<double>(64 * 512, 0.5)};
    for (const TensorId w : weights)
        leaves[w] = {{512, 512}, std::vector<double>(512 * 512, 0.25)};
    Loaded loaded(backend, *graph, {64}, leaves);
    EXPECT_CODE(RZ_OK, backend.err, loaded.submit());
    // TBB fills the caches of its threads in the first runs.
    for (int warm = 0; warm < 50; ++warm)
        EXPECT_EQ(loaded.resubmit(), RZ_OK);
    const rz_counters before = backend.counters();
    const uint64_t mallocs = malloc_calls;
    for (int run = 0; run < 30; ++run)
        if (loaded.resubmit() != RZ_OK) ADD_FAILURE() << backend.err.message;
    EXPECT_EQ(malloc_calls - mallocs, 0u);
    const rz_counters after = backend.counters();
    EXPECT_EQ(after.allocations, before.allocations);
    EXPECT_EQ(after.submissions - before.submissions, 30u);
    EXPECT_GT(after.barriers, before.barriers) << "no phase was forked";
}

TEST_F(Queues, ComputePoolRunsEachPieceOnce) {
    const auto &pool =
        *static_cast<const rz_ext_compute_pool *>(backend.api.get_extension(RZ_EXT_COMPUTE_POOL));
    std::vector<int> hits(1003);
    const auto body = [](void *context, uint64_t begin, uint64_t end) {
        for (uint64_t i = begin; i < end; ++i)
            ++(*static_cast<std::vector<int> *>(context))[i];
    };
    pool.parallel_for(backend.driver, hits.size(), 10, body, &hits);
    EXPECT_EQ(std::accumulate(hits.begin(), hits.end(), 0), 1003);
    EXPECT_EQ(*std::min_element(hits.begin(), hits.end()), 1);
    pool.parallel_for(backend.driver, 0, 0, body, &hits);
}

} // namespace
} // namespace realizar::cpu::test
