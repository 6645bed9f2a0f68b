// Level 1, threads: everything tagged [any-thread] from several threads at once. Most useful with a
// thread sanitizer.
#include "tools/ctk/adder.h"
#include "tools/ctk/device_region.h"
#include "tools/ctk/levels.h"

#include <cstring>
#include <mutex>
#include <thread>

namespace realizar::ctk {
namespace {

constexpr int kThreads = 4;

// Runs fn(thread index) on several threads; the first failure counts.
Status on_threads(const std::function<Status(int)> &fn) {
    std::mutex mutex;
    Status first;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t)
        threads.emplace_back([&, t] {
            Status status = fn(t);
            const std::lock_guard lock(mutex);
            if (!status && first) first = std::move(status);
        });
    for (std::thread &thread : threads)
        thread.join();
    return first;
}

// One program, an instance and a queue for each thread.
Status instances(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    RZ_ASSIGN(const auto first, Adder::create(*session, {1, 1, 1, 1, 1}));
    return on_threads([&](int t) -> Status {
        const auto base = static_cast<float>(t);
        RZ_ASSIGN(const auto adder,
                  Adder::sibling(*first, {base, base + 0.5f, base - 3, 2 * base, 1}));
        for (int i = 0; i < 60; ++i)
            RZ_TRY(adder->run(1 + (i + t) % kAdderRows, static_cast<float>(i * 100 + t)));
        return {};
    });
}

// Two instances take turns on one queue, as sessions of one model do.
Status interleaved(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    RZ_ASSIGN(const auto a, Adder::create(*session, {1, 2, 3, 4, 5}));
    RZ_ASSIGN(const auto b, Adder::sibling(*a, {-1, -2, -3, -4, -5}));
    for (int i = 0; i < 40; ++i) {
        AbiError error;
        const int64_t rows = 1 + i % kAdderRows;
        RZ_TRY(expect_ok(a->submit(a->submission(rows, 1), error), error, "queue.submit"));
        RZ_TRY(expect_ok(b->submit(b->submission(kAdderRows + 1 - rows, 1000), error, a->queue()),
                         error, "queue.submit"));
        // b without updates: its input lives in b, not in a memory shared with a.
        RZ_TRY(b->wait());
        Submission again = b->submission(kAdderRows + 1 - rows, 1000);
        again.updates.clear();
        RZ_TRY(a->wait());
        RZ_TRY(a->check(rows, 1));
        RZ_TRY(expect_ok(a->submit(a->submission(kAdderRows, 50), error), error, "queue.submit"));
        RZ_TRY(a->wait());
        RZ_TRY(expect_ok(b->submit(again, error), error, "queue.submit"));
        RZ_TRY(b->wait());
        RZ_TRY(b->check(kAdderRows + 1 - rows, 1000));
    }
    return {};
}

Status whole_lives(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    return on_threads([&](int t) -> Status {
        for (int i = 0; i < 8; ++i) {
            const auto value = static_cast<float>(t * 10 + i);
            RZ_ASSIGN(const auto adder,
                      Adder::create(*session, {value, value, value, value, value}));
            RZ_TRY(adder->run(3, value));
        }
        return {};
    });
}

Status questions(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    const rz_plugin &api = session->api();
    const size_t rows = session->capabilities().size();
    GraphBuilder builder;
    const TensorId x = builder.input("x", DType::F32, {2, 7});
    builder.output(builder.scale(x, 2), "y");
    RZ_ASSIGN(const Graph graph, std::move(builder).build());
    const rz_graph view = graph.view();
    return on_threads([&](int) -> Status {
        for (int i = 0; i < 100; ++i) {
            RZ_ASSIGN(const auto found, read_capabilities(api, session->device()));
            CTK_CHECK(found.size() == rows, "device.capabilities changed under several threads");
            uint8_t state = 0xEE;
            AbiError error;
            RZ_TRY(expect_ok(api.device->classify(session->device(), &view, &state, &error), error,
                             "device.classify"));
            rz_counters counters{};
            counters.struct_size = sizeof counters;
            RZ_TRY(expect_ok(api.device->counters(session->device(), &counters, &error), error,
                             "device.counters"));
            (void)api.get_extension("x-ctk.none/1");
        }
        return {};
    });
}

// Different bytes of one buffer, from several threads.
Status shared_buffer(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    const rz_buffer_api &api = *session->api().buffer;
    constexpr uint64_t kPart = 4099;
    RZ_ASSIGN(const auto buffer, session->buffer(kPart * kThreads));
    return on_threads([&](int t) -> Status {
        const uint64_t offset = kPart * static_cast<uint64_t>(t);
        for (int i = 0; i < 50; ++i) {
            const std::vector<uint8_t> data(kPart, static_cast<uint8_t>(t * 60 + i));
            std::vector<uint8_t> found(kPart);
            AbiError error;
            RZ_TRY(expect_ok(api.write(buffer.get(), offset, data.data(), kPart, &error), error,
                             "buffer.write"));
            RZ_TRY(expect_ok(api.read(buffer.get(), offset, found.data(), kPart, &error), error,
                             "buffer.read"));
            CTK_CHECK(found == data, "buffer.read under several threads gives other bytes");
            RZ_ASSIGN(const auto own, session->buffer(static_cast<uint64_t>(100 + t)));
        }
        return {};
    });
}

} // namespace

void add_thread_cases(CaseList &cases) {
    const auto add = [&](const char *name, Status (*test)(Context &)) {
        cases.push_back({1, "threads", "", name, test});
    };
    add("instances", instances);
    add("interleaved", interleaved);
    add("whole-lives", whole_lives);
    add("questions", questions);
    add("shared-buffer", shared_buffer);
}

} // namespace realizar::ctk
