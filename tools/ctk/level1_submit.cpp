// Level 1, submissions: order, waits, and everything that must be refused before it starts.
#include "tools/ctk/adder.h"
#include "tools/ctk/levels.h"

#include <atomic>
#include <cstring>
#include <thread>

namespace realizar::ctk {
namespace {

constexpr Adder::Row kState = {0.5f, -1.25f, 3, 100, 0.0625f};

Status compute(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    RZ_ASSIGN(const auto adder, Adder::create(*session, kState));
    for (const int64_t rows : {1, 3, 8, 2, 1})
        RZ_TRY(adder->run(rows, static_cast<float>(rows) * 10));
    return {};
}

// Inputs that are not updated keep their bytes inside the instance.
Status inputs_stay(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    RZ_ASSIGN(const auto adder, Adder::create(*session, kState));
    RZ_TRY(adder->run(8, 1));
    for (const int64_t rows : {8, 5}) {
        AbiError error;
        Submission again = adder->submission(rows, 1);
        again.updates.clear();
        RZ_TRY(expect_ok(adder->submit(again, error), error, "queue.submit without updates"));
        RZ_TRY(adder->wait());
        RZ_TRY(adder->check(rows, 1));
    }
    return {};
}

struct Refusal {
    const char *what;
    std::function<void(Submission &, const AdderGraph &)> spoil;
};

std::vector<Refusal> refusals() {
    static float elsewhere[64];
    return {
        {"a symbol below its minimum", [](Submission &s, const AdderGraph &) { s.symbols = {0}; }},
        {"a symbol above its maximum",
         [](Submission &s, const AdderGraph &) { s.symbols = {kAdderRows + 1}; }},
        {"a negative symbol", [](Submission &s, const AdderGraph &) { s.symbols = {INT64_MIN}; }},
        {"too few symbols", [](Submission &s, const AdderGraph &) { s.symbols.clear(); }},
        {"too many symbols",
         [](Submission &s, const AdderGraph &) {
             s.symbols = {1, 1};
         }},
        {"an update behind its tensor",
         [](Submission &s, const AdderGraph &g) { s.update(g.x, elsewhere, 4, kAdderBytes); }},
        {"an update across its tensor's end",
         [](Submission &s, const AdderGraph &g) { s.update(g.x, elsewhere, 8, kAdderBytes - 4); }},
        {"an update that wraps around",
         [](Submission &s, const AdderGraph &g) { s.update(g.x, elsewhere, 16, UINT64_MAX - 7); }},
        {"an update of a state",
         [](Submission &s, const AdderGraph &g) { s.update(g.s, elsewhere, 4); }},
        {"an update of an output",
         [](Submission &s, const AdderGraph &g) { s.update(g.y, elsewhere, 4); }},
        {"an update of no tensor",
         [](Submission &s, const AdderGraph &) { s.update(77, elsewhere, 4); }},
        {"a read behind its tensor",
         [](Submission &s, const AdderGraph &g) { s.read(g.y, elsewhere, 4, kAdderBytes); }},
        {"a read across its tensor's end",
         [](Submission &s, const AdderGraph &g) { s.read(g.y, elsewhere, 8, kAdderBytes - 4); }},
        {"a read that wraps around",
         [](Submission &s, const AdderGraph &g) { s.read(g.y, elsewhere, 16, UINT64_MAX - 7); }},
        {"a read of an input",
         [](Submission &s, const AdderGraph &g) { s.read(g.x, elsewhere, 4); }},
        {"a read of no tensor",
         [](Submission &s, const AdderGraph &) { s.read(RZ_NONE, elsewhere, 4); }},
    };
}

// Each refused submission carries a good update of other data and a read. Nothing of it may have
// happened: no signal, no read, and the input still holds the bytes of the submission before.
Status refuse(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    RZ_ASSIGN(const auto adder, Adder::create(*session, kState));
    RZ_TRY(adder->run(8, 5));
    for (const Refusal &refusal : refusals()) {
        AbiError error;
        Submission bad = adder->submission(8, 900);
        refusal.spoil(bad, adder->facts());
        const std::vector<float> before = adder->y;
        RZ_TRY(expect_refused(adder->submit(bad, error), RZ_INVALID_ARGUMENT, error, refusal.what));
        CTK_CHECK(std::memcmp(adder->y.data(), before.data(), before.size() * sizeof(float)) == 0,
                  "%s: refused, but the read happened", refusal.what);
        uint64_t value = 0;
        RZ_TRY(expect_ok(session->api().timeline->query(adder->timeline(), &value, &error), error,
                         "timeline.query"));
        CTK_CHECK(value == adder->signalled, "%s: refused, but its signal fired", refusal.what);
        Submission again = adder->submission(8, 5);
        again.updates.clear();
        RZ_TRY(expect_ok(adder->submit(again, error), error, "queue.submit after a refused one"));
        RZ_TRY(adder->wait());
        if (Status status = adder->check(8, 5); !status)
            return std::move(status).error().within(std::string(refusal.what) +
                                                    ": refused, but its update happened");
    }
    return {};
}

Status refuse_unbound_state(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    RZ_ASSIGN(const auto adder, Adder::create(*session, kState));
    rz_instance *handle = nullptr;
    AbiError error;
    RZ_TRY(expect_ok(session->api().instance->create(adder->program(), &handle, &error), error,
                     "instance.create"));
    const Owned<rz_instance> bare(handle, session->api().instance->destroy);
    const Submission submission = adder->submission(2, 0);
    const rz_submit submit = submission.make(bare.get());
    return expect_refused(session->api().queue->submit(adder->queue(), &submit, &error),
                          RZ_INVALID_ARGUMENT, error, "a submission with an unbound state");
}

// Refused bindings leave the good ones in force.
Status refuse_bindings(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    RZ_ASSIGN(const auto adder, Adder::create(*session, kState));
    const uint64_t align = session->info().alignment;
    RZ_ASSIGN(const auto small, session->buffer(kStateBytes - 1));
    RZ_ASSIGN(const auto large, session->buffer(4096 + align));
    const auto try_bind = [&](TensorId tensor, rz_buffer *buffer, uint64_t offset,
                              const char *what) {
        rz_binding binding{};
        binding.struct_size = sizeof binding;
        binding.tensor = tensor;
        binding.buffer = buffer;
        binding.offset = offset;
        AbiError error;
        return expect_refused(
            session->api().instance->bind(adder->instance(), &binding, sizeof binding, 1, &error),
            RZ_INVALID_ARGUMENT, error, what);
    };
    const AdderGraph &facts = adder->facts();
    RZ_TRY(try_bind(facts.s, small.get(), 0, "a buffer that is too small"));
    RZ_TRY(try_bind(facts.s, large.get(), 4096 + align, "a buffer that ends before the tensor"));
    RZ_TRY(try_bind(facts.s, large.get(), UINT64_MAX - align + 1, "an offset that wraps around"));
    if (align > 1) RZ_TRY(try_bind(facts.s, large.get(), 1, "an offset against the alignment"));
    RZ_TRY(try_bind(99, large.get(), 0, "a binding of no tensor"));
    RZ_TRY(try_bind(facts.s, nullptr, 0, "a binding of no buffer"));
    return adder->run(4, 20);
}

// A binding replaces the one before it; outputs and inputs can be bound too.
Status rebind(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    RZ_ASSIGN(const auto adder, Adder::create(*session, kState));
    RZ_TRY(adder->run(3, 1));
    constexpr Adder::Row kOther = {7, 8, 9, 10, 11};
    const uint64_t align = session->info().alignment;
    RZ_ASSIGN(const auto buffer, session->buffer(align + kStateBytes));
    AbiError error;
    RZ_TRY(expect_ok(
        session->api().buffer->write(buffer.get(), align, kOther.data(), kStateBytes, &error),
        error, "buffer.write"));
    RZ_TRY(adder->bind(adder->facts().s, buffer.get(), align));
    adder->state_values = kOther;
    RZ_TRY(adder->run(3, 1));
    RZ_TRY(adder->bind(adder->facts().s, adder->state()));
    adder->state_values = kState;
    RZ_TRY(adder->run(8, 2));
    // A state may change between submissions.
    RZ_TRY(expect_ok(
        session->api().buffer->write(adder->state(), 0, kOther.data(), kStateBytes, &error), error,
        "buffer.write"));
    adder->state_values = kOther;
    RZ_TRY(adder->run(5, 3));
    RZ_ASSIGN(const auto output, session->buffer(kAdderBytes));
    RZ_TRY(adder->bind(adder->facts().y, output.get()));
    RZ_TRY(adder->run(8, 4)); // rz_read of a bound output
    std::vector<float> stored(adder->y.size());
    RZ_TRY(expect_ok(session->api().buffer->read(output.get(), 0, stored.data(),
                                                 stored.size() * sizeof(float), &error),
                     error, "buffer.read"));
    CTK_CHECK(stored == adder->y, "a bound output differs from what rz_read gave");
    return {};
}

// The output of one instance is the state of the next, on one queue and without waits.
Status queue_is_in_order(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    constexpr Adder::Row kOne = {1, 1, 1, 1, 1};
    RZ_ASSIGN(const auto first, Adder::create(*session, kOne));
    RZ_ASSIGN(const auto second, Adder::sibling(*first, kOne));
    RZ_ASSIGN(const auto link, session->buffer(kAdderBytes));
    RZ_TRY(first->bind(first->facts().y, link.get()));
    RZ_TRY(second->bind(second->facts().s, link.get()));
    for (int i = 0; i < 50; ++i) {
        AbiError error;
        const auto start = static_cast<float>(i);
        RZ_TRY(expect_ok(first->submit(first->submission(8, start), error), error, "queue.submit"));
        RZ_TRY(expect_ok(second->submit(second->submission(1, 0), error, first->queue()), error,
                         "queue.submit"));
        for (size_t k = 0; k < kAdderWidth; ++k)
            second->state_values[k] = first->facts().expected(start + static_cast<float>(k), 1);
        RZ_TRY(second->wait());
        RZ_TRY(second->check(1, 0));
        RZ_TRY(first->wait());
    }
    return {};
}

// A submission waits for a point that the host signals later, from another thread.
Status waits_for_host(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    RZ_ASSIGN(const auto adder, Adder::create(*session, kState));
    RZ_ASSIGN(const auto gate, session->timeline(0));
    std::atomic<bool> open{false};
    rz_code signalled = RZ_OK;
    std::thread host([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        open = true;
        signalled = session->api().timeline->signal(gate.get(), 3, nullptr);
    });
    AbiError error;
    Submission submission = adder->submission(4, 1);
    submission.waits = {{gate.get(), 3}};
    const rz_code submitted = adder->submit(submission, error);
    const Status waited = submitted == RZ_OK ? adder->wait() : Status();
    const bool in_time = open;
    host.join();
    RZ_TRY(expect_ok(submitted, error, "queue.submit"));
    if (!waited) return waited;
    CTK_CHECK(signalled == RZ_OK, "timeline.signal while a submission waits: found %s",
              abi_code_name(signalled).c_str());
    CTK_CHECK(in_time, "the submission ended before the point that it waits for");
    return adder->check(4, 1);
}

// Two queues: the second waits for the first by a timeline.
Status waits_across_queues(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    constexpr Adder::Row kOne = {1, 1, 1, 1, 1};
    RZ_ASSIGN(const auto first, Adder::create(*session, kOne));
    RZ_ASSIGN(const auto second, Adder::sibling(*first, kOne));
    RZ_ASSIGN(const auto link, session->buffer(kAdderBytes));
    RZ_TRY(first->bind(first->facts().y, link.get()));
    RZ_TRY(second->bind(second->facts().s, link.get()));
    for (int i = 0; i < 20; ++i) {
        AbiError error;
        const auto start = static_cast<float>(3 * i);
        RZ_TRY(expect_ok(first->submit(first->submission(2, start), error), error, "queue.submit"));
        Submission next = second->submission(1, 7);
        next.waits = {{first->timeline(), first->signalled}};
        RZ_TRY(expect_ok(second->submit(next, error), error, "queue.submit"));
        for (size_t k = 0; k < kAdderWidth; ++k)
            second->state_values[k] = first->facts().expected(start + static_cast<float>(k), 1);
        RZ_TRY(second->wait());
        RZ_TRY(second->check(1, 7));
    }
    return {};
}

Status counters_rise(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    RZ_ASSIGN(const auto adder, Adder::create(*session, kState));
    const auto read = [&](rz_counters &out) {
        out = {};
        out.struct_size = sizeof out;
        AbiError error;
        return expect_ok(session->api().device->counters(session->device(), &out, &error), error,
                         "device.counters");
    };
    rz_counters before, after;
    RZ_TRY(read(before));
    for (int i = 0; i < 3; ++i)
        RZ_TRY(adder->run(2, 0));
    RZ_TRY(read(after));
    // A plugin without the notion leaves a counter 0.
    CTK_CHECK(after.submissions == 0 || after.submissions == before.submissions + 3,
              "counters.submissions: expected %llu after 3 submissions, found %llu",
              static_cast<unsigned long long>(before.submissions + 3),
              static_cast<unsigned long long>(after.submissions));
    const struct {
        const char *name;
        uint64_t before, after;
    } monotone[] = {{"dispatches", before.dispatches, after.dispatches},
                    {"barriers", before.barriers, after.barriers},
                    {"allocations", before.allocations, after.allocations},
                    {"bytes_written", before.bytes_written, after.bytes_written},
                    {"bytes_read", before.bytes_read, after.bytes_read},
                    {"memory_peak", before.memory_peak, after.memory_peak}};
    for (const auto &counter : monotone)
        CTK_CHECK(counter.after >= counter.before, "counters.%s fell", counter.name);
    return {};
}

} // namespace

void add_submit_cases(CaseList &cases) {
    const auto add = [&](const char *name, Status (*test)(Context &)) {
        cases.push_back({1, "submit", "", name, test});
    };
    add("compute", compute);
    add("inputs-stay", inputs_stay);
    add("refuse", refuse);
    add("refuse-unbound-state", refuse_unbound_state);
    add("refuse-bindings", refuse_bindings);
    add("rebind", rebind);
    add("in-order", queue_is_in_order);
    add("wait-for-host", waits_for_host);
    add("wait-across-queues", waits_across_queues);
    add("counters", counters_rise);
}

} // namespace realizar::ctk
