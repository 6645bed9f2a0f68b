// Level 1, timelines: values, waiting, and waiting from other threads.
#include "tools/ctk/levels.h"
#include "tools/ctk/session.h"

#include <atomic>
#include <thread>

namespace realizar::ctk {
namespace {

constexpr uint64_t kShortNs = 5'000'000;

Status value_is(Session &session, rz_timeline *timeline, uint64_t expected) {
    uint64_t value = ~expected;
    AbiError error;
    RZ_TRY(expect_ok(session.api().timeline->query(timeline, &value, &error), error,
                     "timeline.query"));
    CTK_CHECK(value == expected, "timeline.query: expected %llu, found %llu",
              static_cast<unsigned long long>(expected), static_cast<unsigned long long>(value));
    return {};
}

Status rise(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    const rz_timeline_api &api = *session->api().timeline;
    for (const uint64_t initial : {uint64_t{0}, uint64_t{7}, uint64_t{1} << 40}) {
        RZ_ASSIGN(const auto timeline, session->timeline(initial));
        RZ_TRY(value_is(*session, timeline.get(), initial));
        AbiError error;
        for (const uint64_t value : {initial + 1, initial + 2, initial + 1000}) {
            RZ_TRY(expect_ok(api.signal(timeline.get(), value, &error), error, "timeline.signal"));
            RZ_TRY(value_is(*session, timeline.get(), value));
        }
        for (const uint64_t value : {initial + 1000, initial + 999, initial})
            RZ_TRY(expect_refused(api.signal(timeline.get(), value, &error), RZ_INVALID_ARGUMENT,
                                  error, "timeline.signal of a value that does not rise"));
        RZ_TRY(value_is(*session, timeline.get(), initial + 1000));
    }
    return {};
}

Status time_out(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    const rz_timeline_api &api = *session->api().timeline;
    RZ_ASSIGN(const auto timeline, session->timeline(5));
    AbiError error;
    for (const uint64_t value : {uint64_t{0}, uint64_t{4}, uint64_t{5}})
        for (const uint64_t timeout : {uint64_t{0}, kShortNs, UINT64_MAX})
            RZ_TRY(expect_ok(api.wait(timeline.get(), value, timeout, &error), error,
                             "timeline.wait for a value that was reached"));
    for (const uint64_t timeout : {uint64_t{0}, kShortNs}) {
        RZ_TRY(expect_refused(api.wait(timeline.get(), 6, timeout, &error), RZ_TIMEOUT, error,
                              "timeline.wait for a value that nobody signals"));
        CTK_CHECK(api.wait(timeline.get(), 6, timeout, nullptr) == RZ_TIMEOUT,
                  "timeline.wait with NULL err: expected RZ_TIMEOUT");
    }
    return {};
}

// Several threads wait for different values; each wakes at its own.
Status wake_waiters(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    const rz_timeline_api &api = *session->api().timeline;
    RZ_ASSIGN(const auto timeline, session->timeline(0));
    constexpr uint64_t kThreads = 4;
    std::atomic<uint64_t> announced{0};
    std::atomic<bool> early{false};
    std::atomic<rz_code> worst{RZ_OK};
    std::vector<std::thread> threads;
    for (uint64_t i = 1; i <= kThreads; ++i)
        threads.emplace_back([&, i] {
            // A finite and an endless wait.
            const rz_code code =
                api.wait(timeline.get(), i, i % 2 == 0 ? UINT64_MAX : kWaitNs, nullptr);
            if (code != RZ_OK) worst = code;
            if (announced < i) early = true;
        });
    AbiError error;
    rz_code signalled = RZ_OK;
    for (uint64_t i = 1; i <= kThreads; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        announced = i;
        if (const rz_code code = api.signal(timeline.get(), i, &error); code != RZ_OK)
            signalled = code;
    }
    for (std::thread &thread : threads)
        thread.join();
    RZ_TRY(expect_ok(signalled, error, "timeline.signal"));
    CTK_CHECK(worst == RZ_OK, "timeline.wait in another thread: expected RZ_OK, found %s",
              abi_code_name(worst).c_str());
    CTK_CHECK(!early, "timeline.wait returned before its value was signalled");
    return {};
}

} // namespace

void add_timeline_cases(CaseList &cases) {
    const auto add = [&](const char *name, Status (*test)(Context &)) {
        cases.push_back({1, "timeline", "", name, test});
    };
    add("rise", rise);
    add("time-out", time_out);
    add("wake-waiters", wake_waiters);
}

} // namespace realizar::ctk
