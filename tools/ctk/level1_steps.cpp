// Level 1, several steps in a submission (RZ_CAP_STEPS): each with its own inputs and reads, chained from
// one to the next; refused whole where the device lacks them or where something is wrong.
#include "tools/ctk/adder.h"
#include "tools/ctk/levels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace realizar::ctk {
namespace {

constexpr Adder::Row kState = {0.5f, -1.25f, 2, 1.5f, -0.75f};

bool has_steps(Session &session) { return (session.info().caps & RZ_CAP_STEPS) != 0; }

// x of each step and what comes back, `rows` rows each.
struct Steps {
    std::vector<std::vector<float>> x, y;
    Submission submission;

    Steps(Adder &adder, int64_t rows, uint32_t count) : submission(adder.submission(rows, 0)) {
        const size_t n = static_cast<size_t>(rows) * kAdderWidth;
        submission.steps = count;
        submission.updates.clear();
        submission.reads.clear();
        for (uint32_t s = 0; s < count; ++s) {
            x.emplace_back();
            for (size_t i = 0; i < n; ++i)
                x[s].push_back(static_cast<float>(s * 100 + i));
            y.emplace_back(n, std::nanf(""));
        }
        for (uint32_t s = 0; s < count; ++s) {
            update(adder, s);
            submission.read(adder.facts().y, y[s].data(), n * sizeof(float));
            submission.reads.back().step = s;
        }
    }
    void update(const Adder &adder, uint32_t step) {
        submission.update(adder.facts().x, x[step].data(), x[step].size() * sizeof(float));
        submission.updates.back().step = step;
    }
    // Only the first step has an x, the others what came out of the one before.
    void chain(const Adder &adder) {
        submission.updates.clear();
        update(adder, 0);
        submission.chains = {{sizeof(rz_chain), 0, adder.facts().y, adder.facts().x}};
        for (size_t s = 1; s < x.size(); ++s)
            x[s].clear();
    }
    Status check(const Adder &adder) const {
        for (size_t s = 0; s < y.size(); ++s)
            for (size_t i = 0; i < y[s].size(); ++i) {
                const float from = x[s].empty() ? y[s - 1][i] : x[s][i];
                const float expected =
                    adder.facts().expected(from, adder.state_values[i % kAdderWidth]);
                CTK_CHECK(std::fabs(y[s][i] - expected) <= 1e-6f * std::fabs(expected),
                          "step %zu, element %zu: expected %.9g, found %.9g", s, i,
                          static_cast<double>(expected), static_cast<double>(y[s][i]));
            }
        return {};
    }
};

Status run(Adder &adder, Steps &steps) {
    AbiError error;
    RZ_TRY(expect_ok(adder.submit(steps.submission, error), error, "queue.submit of steps"));
    RZ_TRY(adder.wait());
    return steps.check(adder);
}

// More and fewer steps in turns, and single submissions between them.
Status compute(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    if (!has_steps(*session)) return unsupported("the device has no RZ_CAP_STEPS");
    RZ_ASSIGN(const auto adder, Adder::create(*session, kState));
    RZ_TRY(adder->run(3, 7));
    for (const uint32_t count : {2u, 5u, 1u, RZ_MAX_STEPS, 3u})
        for (const int64_t rows : {1, 8, 3}) {
            Steps steps(*adder, rows, count);
            RZ_TRY(run(*adder, steps));
            Steps chained(*adder, rows, count);
            if (count > 1) chained.chain(*adder);
            RZ_TRY(run(*adder, chained));
            RZ_TRY(adder->run(rows, 3));
        }
    return {};
}

// Only the last result, and that of a step between.
Status some_reads(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    if (!has_steps(*session)) return unsupported("the device has no RZ_CAP_STEPS");
    RZ_ASSIGN(const auto adder, Adder::create(*session, kState));
    for (const bool chained : {false, true})
        for (const uint32_t step : {0u, 2u, 4u}) {
            Steps all(*adder, 2, 5), one(*adder, 2, 5);
            for (Steps *steps : {&all, &one})
                if (chained) steps->chain(*adder);
            RZ_TRY(run(*adder, all));
            // Signals of the second stand behind those of the first.
            one.submission.signals[0].value = adder->signalled + 1;
            std::erase_if(one.submission.reads, [&](const rz_read &r) { return r.step != step; });
            AbiError error;
            RZ_TRY(expect_ok(adder->submit(one.submission, error), error, "queue.submit"));
            RZ_TRY(adder->wait());
            CTK_CHECK(one.y[step] == all.y[step], "the read of step %u differs", step);
        }
    return {};
}

struct Refusal {
    const char *what;
    void (*spoil)(Submission &, const AdderGraph &);
};

constexpr Refusal kRefusals[] = {
    {"too many steps", [](Submission &s, const AdderGraph &) { s.steps = RZ_MAX_STEPS + 1; }},
    {"an update behind the last step",
     [](Submission &s, const AdderGraph &) { s.updates.back().step = 3; }},
    {"a read behind the last step",
     [](Submission &s, const AdderGraph &) { s.reads.back().step = 3; }},
    {"a step without its input", [](Submission &s, const AdderGraph &) { s.updates.pop_back(); }},
    {"an input twice", [](Submission &s, const AdderGraph &) { s.updates.back().step = 1; }},
    {"a part of an input", [](Submission &s, const AdderGraph &) { s.updates.back().size -= 4; }},
    {"an input of an update and a chain",
     [](Submission &s, const AdderGraph &g) {
         s.chains = {{sizeof(rz_chain), 0, g.y, g.x}};
     }},
    {"a chain from an input",
     [](Submission &s, const AdderGraph &g) {
         s.updates.resize(1);
         s.chains = {{sizeof(rz_chain), 0, g.x, g.x}};
     }},
    {"a chain to an output",
     [](Submission &s, const AdderGraph &g) {
         s.chains = {{sizeof(rz_chain), 0, g.y, g.y}};
     }},
    {"a chain of no tensor",
     [](Submission &s, const AdderGraph &g) {
         s.chains = {{sizeof(rz_chain), 0, RZ_NONE, g.x}};
     }},
};

Status refuse(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    RZ_ASSIGN(const auto adder, Adder::create(*session, kState));
    AbiError error;
    if (!has_steps(*session)) {
        const Steps steps(*adder, 2, 2);
        RZ_TRY(expect_refused(adder->submit(steps.submission, error), RZ_UNSUPPORTED, error,
                              "two steps without RZ_CAP_STEPS"));
        return adder->run(2, 1);
    }
    for (const Refusal &refusal : kRefusals) {
        Steps steps(*adder, 2, 3);
        refusal.spoil(steps.submission, adder->facts());
        RZ_TRY(expect_refused(adder->submit(steps.submission, error), RZ_INVALID_ARGUMENT, error,
                              refusal.what));
        for (const auto &y : steps.y)
            CTK_CHECK(std::isnan(y[0]), "%s: refused, but a read happened", refusal.what);
        RZ_TRY(adder->run(2, 1));
    }
    return {};
}

} // namespace

void add_steps_cases(CaseList &cases) {
    cases.push_back({1, "steps", "", "compute", compute});
    cases.push_back({1, "steps", "", "some-reads", some_reads});
    cases.push_back({1, "steps", "", "refuse", refuse});
}

} // namespace realizar::ctk
