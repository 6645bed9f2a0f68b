// Level 1, growth: a caller of a later minor version, unknown flags and values, broken graphs.
#include "tools/ctk/adder.h"
#include "tools/ctk/device_region.h"
#include "tools/ctk/levels.h"
#include "tools/ctk/process_facts.h"

#include "core/graph/layout.h"

#include <cstring>

namespace realizar::ctk {
namespace {

constexpr Adder::Row kState = {2, 4, 6, 8, 10};
constexpr uint32_t kRequired = 1u << 14; // a required bit that no version has yet
constexpr uint32_t kOptional = 1u << 30;
constexpr uint32_t kGrowth = 24; // bytes that a later version might append to a struct

// An array of structs as a later caller would make it: each struct is longer and says so, the bytes
// that this version does not know are garbage, and behind the last one nothing can be read.
template <class T>
class GrownArray {
  public:
    explicit GrownArray(std::span<const T> values)
        : memory_(std::max<size_t>(values.size(), 1) * stride()) {
        for (size_t i = 0; i < values.size(); ++i) {
            char *at = static_cast<char *>(memory_.data()) + i * stride();
            std::memset(at, 0xEE, stride());
            std::memcpy(at, &values[i], sizeof(T));
            const uint32_t size = stride();
            std::memcpy(at, &size, sizeof size);
        }
    }
    static constexpr uint32_t stride() { return sizeof(T) + kGrowth; }
    const T *data() const { return static_cast<const T *>(memory_.data()); }

  private:
    FencedMemory memory_;
};

Status classify_whole(Session &session, const rz_graph &graph, uint8_t expected, const char *what) {
    std::vector<uint8_t> states(graph.node_count, 0xEE);
    AbiError error;
    RZ_TRY(
        expect_ok(session.api().device->classify(session.device(), &graph, states.data(), &error),
                  error, what));
    for (const uint8_t state : states)
        CTK_CHECK(state == expected, "%s: expected node state %u, found %u", what, expected, state);
    return {};
}

Status accept_larger_structs(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    RZ_ASSIGN(const AdderGraph adder, AdderGraph::make(*session));
    const GrownArray<rz_tensor> tensors(adder.graph.tensors());
    const GrownArray<rz_node> nodes(adder.graph.nodes());
    const GrownArray<rz_symbol> symbols(adder.graph.symbols());
    rz_graph view = adder.graph.view();
    view.tensors = tensors.data();
    view.nodes = nodes.data();
    view.symbols = symbols.data();
    view.tensor_stride = tensors.stride();
    view.node_stride = nodes.stride();
    view.symbol_stride = symbols.stride();
    const GrownArray<rz_graph> graph({&view, 1});
    RZ_TRY(
        classify_whole(*session, *graph.data(), RZ_NODE_YES, "device.classify of larger structs"));
    Owned<rz_program> program(nullptr, nullptr);
    AbiError error;
    RZ_TRY(expect_ok(try_compile(*session, *graph.data(), nullptr, kOptional, program, error),
                     error, "program.compile of larger structs"));

    RZ_ASSIGN(const auto small, Adder::create(*session, kState));
    const Submission submission = [&] {
        Submission out = small->submission(7, 3);
        // Two updates and two reads, so that the stride matters.
        const std::vector<rz_update> updates = out.updates;
        const std::vector<rz_read> reads = out.reads;
        out.updates.clear();
        out.reads.clear();
        const uint64_t half = 3 * kAdderWidth * sizeof(float), whole = updates[0].size;
        out.update(small->facts().x, small->x.data(), half);
        out.update(small->facts().x, small->x.data() + 3 * kAdderWidth, whole - half, half);
        out.read(small->facts().y, small->y.data(), half);
        out.read(small->facts().y, small->y.data() + 3 * kAdderWidth, whole - half, half);
        return out;
    }();
    const GrownArray<rz_update> updates(submission.updates);
    const GrownArray<rz_read> reads(submission.reads);
    rz_submit submit = submission.make(small->instance());
    submit.updates = updates.data();
    submit.update_stride = updates.stride();
    submit.reads = reads.data();
    submit.read_stride = reads.stride();
    submit.flags = kOptional;
    const GrownArray<rz_submit> grown({&submit, 1});
    RZ_TRY(expect_ok(session->api().queue->submit(small->queue(), grown.data(), &error), error,
                     "queue.submit of larger structs"));
    small->signalled = 1;
    RZ_TRY(small->wait());
    return small->check(7, 3);
}

Status accept_larger_bindings(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    RZ_ASSIGN(const auto adder, Adder::create(*session, kState));
    RZ_ASSIGN(const auto state, session->buffer(kStateBytes));
    RZ_ASSIGN(const auto output, session->buffer(kAdderBytes));
    AbiError error;
    RZ_TRY(
        expect_ok(session->api().buffer->write(state.get(), 0, kState.data(), kStateBytes, &error),
                  error, "buffer.write"));
    rz_binding bindings[2] = {};
    bindings[0].tensor = adder->facts().s;
    bindings[0].buffer = state.get();
    bindings[1].tensor = adder->facts().y;
    bindings[1].buffer = output.get();
    const GrownArray<rz_binding> grown(bindings);
    RZ_TRY(expect_ok(
        session->api().instance->bind(adder->instance(), grown.data(), grown.stride(), 2, &error),
        error, "instance.bind of larger structs"));
    RZ_TRY(adder->run(8, 1));
    std::vector<float> stored(adder->y.size());
    RZ_TRY(expect_ok(session->api().buffer->read(output.get(), 0, stored.data(),
                                                 stored.size() * sizeof(float), &error),
                     error, "buffer.read"));
    CTK_CHECK(stored == adder->y, "the second binding of larger structs had no effect");
    return {};
}

// A graph whose arrays are copies that a test may spoil.
struct LooseGraph {
    explicit LooseGraph(const Graph &graph)
        : view(graph.view()), tensors(graph.tensors().begin(), graph.tensors().end()),
          nodes(graph.nodes().begin(), graph.nodes().end()),
          symbols(graph.symbols().begin(), graph.symbols().end()) {
        view.tensors = tensors.data();
        view.nodes = nodes.data();
        view.symbols = symbols.data();
    }
    rz_graph view;
    std::vector<rz_tensor> tensors;
    std::vector<rz_node> nodes;
    std::vector<rz_symbol> symbols;
};

struct Spoiling {
    const char *what;
    std::function<void(LooseGraph &)> spoil;
};

// Unknown things: classify refuses or says NO, compile refuses, both with RZ_UNSUPPORTED.
Status refuse_unknown(Context &context) {
    static const Spoiling kUnknown[] = {
        {"an unknown required flag of the graph", [](LooseGraph &g) { g.view.flags |= kRequired; }},
        {"an unknown required flag of a tensor",
         [](LooseGraph &g) { g.tensors[0].flags |= kRequired; }},
        {"an unknown required flag of a node",
         [](LooseGraph &g) { g.nodes[0].flags |= kRequired; }},
        {"an unknown required flag of a symbol",
         [](LooseGraph &g) { g.symbols[0].flags |= kRequired; }},
        {"an unknown op", [](LooseGraph &g) { g.nodes[0].op = 777; }},
        {"op 0", [](LooseGraph &g) { g.nodes[0].op = 0; }},
        {"a later version of an op", [](LooseGraph &g) { g.nodes[0].version = 2; }},
        {"an unknown element type", [](LooseGraph &g) { g.tensors[0].dtype = 63; }},
        {"an element type above 63", [](LooseGraph &g) { g.tensors[0].dtype = 0x10000; }},
    };
    RZ_ASSIGN(Session * session, context.session());
    RZ_ASSIGN(const AdderGraph adder, AdderGraph::make(*session));
    for (const Spoiling &spoiling : kUnknown) {
        LooseGraph graph(adder.graph);
        spoiling.spoil(graph);
        std::vector<uint8_t> states(graph.view.node_count, 0xEE);
        AbiError error;
        const rz_code classified =
            session->api().device->classify(session->device(), &graph.view, states.data(), &error);
        if (classified != RZ_OK)
            RZ_TRY(expect_refused(classified, RZ_UNSUPPORTED, error, spoiling.what));
        else
            CTK_CHECK(states[0] == RZ_NODE_NO, "%s: device.classify expected NO, found %u",
                      spoiling.what, states[0]);
        Owned<rz_program> program(nullptr, nullptr);
        const rz_code compiled = try_compile(*session, graph.view, nullptr, 0, program, error);
        RZ_TRY(expect_refused(compiled, RZ_UNSUPPORTED, error, spoiling.what));
    }
    return {};
}

Status ignore_optional(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    RZ_ASSIGN(const AdderGraph adder, AdderGraph::make(*session));
    LooseGraph graph(adder.graph);
    graph.view.flags = graph.tensors[0].flags = graph.nodes[0].flags = graph.symbols[0].flags =
        kOptional;
    RZ_TRY(classify_whole(*session, graph.view, RZ_NODE_YES,
                          "device.classify with unknown optional flags"));
    Owned<rz_program> program(nullptr, nullptr);
    AbiError error;
    return expect_ok(try_compile(*session, graph.view, nullptr, kOptional, program, error), error,
                     "program.compile with unknown optional flags");
}

Status refuse_required_flags(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    RZ_ASSIGN(const auto adder, Adder::create(*session, kState));
    const rz_plugin &api = session->api();
    AbiError error;
    const auto refuse = [&](rz_code code, const char *what) {
        return expect_refused(code, RZ_UNSUPPORTED, error, what);
    };
    const rz_graph view = adder->facts().graph.view();
    Owned<rz_program> program(nullptr, nullptr);
    RZ_TRY(refuse(try_compile(*session, view, nullptr, kRequired, program, error),
                  "rz_compile_options with an unknown required flag"));
    rz_binding binding{};
    binding.struct_size = sizeof binding;
    binding.flags = kRequired;
    binding.tensor = adder->facts().s;
    binding.buffer = adder->state();
    RZ_TRY(refuse(api.instance->bind(adder->instance(), &binding, sizeof binding, 1, &error),
                  "rz_binding with an unknown required flag"));
    const auto try_submit = [&](auto spoil) {
        Submission submission = adder->submission(2, 0);
        uint32_t flags = 0;
        spoil(submission, flags);
        rz_submit submit = submission.make(adder->instance());
        submit.flags = flags;
        return api.queue->submit(adder->queue(), &submit, &error);
    };
    RZ_TRY(refuse(try_submit([](Submission &, uint32_t &flags) { flags = kRequired; }),
                  "rz_submit with an unknown required flag"));
    RZ_TRY(refuse(try_submit([](Submission &s, uint32_t &) { s.updates[0].flags = kRequired; }),
                  "rz_update with an unknown required flag"));
    RZ_TRY(refuse(try_submit([](Submission &s, uint32_t &) { s.reads[0].flags = kRequired; }),
                  "rz_read with an unknown required flag"));
    return adder->run(3, 1);
}

// Graphs that break the contract: RZ_INVALID_ARGUMENT from both, and no harm.
Status refuse_broken_graphs(Context &context) {
    static const uint32_t kNowhere[2] = {9999, 9999};
    static const Spoiling kBroken[] = {
        {"rank 0", [](LooseGraph &g) { g.tensors[0].rank = 0; }},
        {"rank 5", [](LooseGraph &g) { g.tensors[0].rank = 5; }},
        {"a negative dimension", [](LooseGraph &g) { g.tensors[0].dims[1] = -5; }},
        {"a symbol that does not exist",
         [](LooseGraph &g) { g.tensors[0].dims[0] = RZ_SYMBOL(7); }},
        {"a symbol in an inner dimension",
         [](LooseGraph &g) { g.tensors[0].dims[1] = RZ_SYMBOL(0); }},
        {"a storage that does not exist", [](LooseGraph &g) { g.tensors[0].storage = 9999; }},
        {"a view outside of its storage", [](LooseGraph &g) { g.tensors[0].storage = 1; }},
        {"operands that do not exist", [](LooseGraph &g) { g.nodes[0].inputs = kNowhere; }},
        {"results that do not exist", [](LooseGraph &g) { g.nodes[0].outputs = kNowhere; }},
        {"too few operands", [](LooseGraph &g) { g.nodes[0].input_count = 1; }},
        {"outputs that do not exist", [](LooseGraph &g) { g.view.outputs = kNowhere; }},
        {"a symbol with min above max", [](LooseGraph &g) { g.symbols[0].min = 100; }},
        {"shapes that do not fit", [](LooseGraph &g) { g.tensors[1].dims[0] = 4; }},
        {"dimensions whose product overflows",
         [](LooseGraph &g) { g.tensors[0].dims[1] = INT64_MAX / 2; }},
    };
    RZ_ASSIGN(Session * session, context.session());
    RZ_ASSIGN(const AdderGraph adder, AdderGraph::make(*session));
    for (const Spoiling &spoiling : kBroken) {
        LooseGraph graph(adder.graph);
        spoiling.spoil(graph);
        std::vector<uint8_t> states(graph.view.node_count, 0xEE);
        AbiError error;
        RZ_TRY(expect_refused(
            session->api().device->classify(session->device(), &graph.view, states.data(), &error),
            RZ_INVALID_ARGUMENT, error,
            (std::string("device.classify of ") + spoiling.what).c_str()));
        Owned<rz_program> program(nullptr, nullptr);
        RZ_TRY(expect_refused(try_compile(*session, graph.view, nullptr, 0, program, error),
                              RZ_INVALID_ARGUMENT, error,
                              (std::string("program.compile of ") + spoiling.what).c_str()));
    }
    return {};
}

Status capabilities_two_call(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    const auto rows = session->capabilities();
    if (rows.empty()) return unsupported("the plugin claims nothing");
    constexpr uint32_t kStride = sizeof(rz_capability) + kGrowth;
    std::vector<uint64_t> memory((rows.size() * kStride + 7) / 8, 0xABABABABABABABABull);
    auto *bytes = reinterpret_cast<uint8_t *>(memory.data());
    for (size_t i = 0; i < rows.size(); ++i) {
        const uint32_t head[2] = {kStride, 0};
        std::memcpy(bytes + i * kStride, head, sizeof head);
    }
    // One row less than there is: the count must say so, and the last row stay untouched.
    auto count = static_cast<uint32_t>(rows.size() - 1);
    AbiError error;
    RZ_TRY(expect_ok(session->api().device->capabilities(session->device(),
                                                         reinterpret_cast<rz_capability *>(bytes),
                                                         kStride, &count, &error),
                     error, "device.capabilities with a larger stride"));
    CTK_CHECK(count == rows.size(), "device.capabilities: expected the count %zu, found %u",
              rows.size(), count);
    for (size_t i = 0; i < rows.size(); ++i) {
        rz_capability row;
        std::memcpy(&row, bytes + i * kStride, sizeof row);
        const bool last = i + 1 == rows.size();
        CTK_CHECK(last ? row.op == 0xABABABABu
                       : row.op == rows[i].op && row.dtypes == rows[i].dtypes,
                  "device.capabilities with a larger stride: row %zu is wrong", i);
        for (uint32_t j = sizeof row; j < kStride; ++j)
            CTK_CHECK(bytes[i * kStride + j] == 0xAB,
                      "device.capabilities wrote past the fields that this version knows");
    }
    return {};
}

Status refuse_host_flags(Context &context) {
    RZ_ASSIGN(Library * library, context.library());
    RZ_ASSIGN(const rz_plugin *api, library->table());
    KitHost host;
    host.table()->flags = kRequired;
    rz_driver *driver = nullptr;
    AbiError error;
    const rz_code code = api->driver->create(host.table(), &driver, &error);
    const Owned<rz_driver> owner(driver, api->driver->destroy);
    return expect_refused(code, RZ_UNSUPPORTED, error, "rz_host with an unknown required flag");
}

} // namespace

void add_growth_cases(CaseList &cases) {
    const auto add = [&](const char *name, Status (*test)(Context &)) {
        cases.push_back({1, "growth", "", name, test});
    };
    add("larger-structs", accept_larger_structs);
    add("larger-bindings", accept_larger_bindings);
    add("unknown-values", refuse_unknown);
    add("optional-flags", ignore_optional);
    add("required-flags", refuse_required_flags);
    add("host-flags", refuse_host_flags);
    add("broken-graphs", refuse_broken_graphs);
    add("capabilities", capabilities_two_call);
}

} // namespace realizar::ctk
