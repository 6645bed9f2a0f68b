#include "tools/ctk/adder.h"

#include "tools/ctk/device_region.h"

#include <cmath>
#include <limits>

namespace realizar::ctk {

Result<AdderGraph> AdderGraph::make(Session &session) {
    AdderGraph out;
    out.multiplies = !session.claims(RZ_OP_ADD, RZ_DTYPE_F32);
    if (out.multiplies && !session.claims(RZ_OP_MUL, RZ_DTYPE_F32))
        return unsupported("the tests of submissions need ADD or MUL");
    GraphBuilder builder;
    const int64_t rows = builder.symbol(1, kAdderRows, 1);
    const auto width = static_cast<int64_t>(kAdderWidth);
    out.x = builder.input("x", DType::F32, {rows, width});
    out.s = builder.state("s", DType::F32, {width}, 71);
    out.y = out.multiplies ? builder.mul(out.x, out.s) : builder.add(out.x, out.s);
    builder.output(out.y, "y");
    RZ_ASSIGN(out.graph, std::move(builder).build());
    return out;
}

void Submission::update(TensorId tensor, const void *data, uint64_t size, uint64_t offset) {
    rz_update update{};
    update.struct_size = sizeof update;
    update.tensor = tensor;
    update.offset = offset;
    update.size = size;
    update.data = data;
    updates.push_back(update);
}

void Submission::read(TensorId tensor, void *data, uint64_t size, uint64_t offset) {
    rz_read read{};
    read.struct_size = sizeof read;
    read.tensor = tensor;
    read.offset = offset;
    read.size = size;
    read.data = data;
    reads.push_back(read);
}

rz_submit Submission::make(rz_instance *instance) const {
    rz_submit submit{};
    submit.struct_size = sizeof submit;
    submit.instance = instance;
    submit.symbols = symbols.data();
    submit.symbol_count = static_cast<uint32_t>(symbols.size());
    submit.updates = updates.data();
    submit.update_count = static_cast<uint32_t>(updates.size());
    submit.update_stride = sizeof(rz_update);
    submit.reads = reads.data();
    submit.read_count = static_cast<uint32_t>(reads.size());
    submit.read_stride = sizeof(rz_read);
    submit.waits = waits.data();
    submit.wait_count = static_cast<uint32_t>(waits.size());
    submit.signals = signals.data();
    submit.signal_count = static_cast<uint32_t>(signals.size());
    submit.steps = steps;
    submit.chains = chains.data();
    submit.chain_count = static_cast<uint32_t>(chains.size());
    submit.chain_stride = sizeof(rz_chain);
    return submit;
}

Result<std::unique_ptr<Adder>> Adder::create(Session &session, const Row &state) {
    auto adder = std::unique_ptr<Adder>(new Adder(session));
    RZ_ASSIGN(AdderGraph graph, AdderGraph::make(session));
    adder->graph_ = std::make_shared<AdderGraph>(std::move(graph));
    AbiError error;
    const rz_graph view = adder->graph_->graph.view();
    RZ_TRY(expect_ok(try_compile(session, view, nullptr, 0, adder->owner_, error), error,
                     "program.compile"));
    adder->program_ = adder->owner_.get();
    RZ_TRY(adder->make_instance(state));
    return adder;
}

Result<std::unique_ptr<Adder>> Adder::sibling(Adder &first, const Row &state) {
    auto adder = std::unique_ptr<Adder>(new Adder(first.session_));
    adder->graph_ = first.graph_;
    adder->program_ = first.program_;
    RZ_TRY(adder->make_instance(state));
    return adder;
}

Status Adder::make_instance(const Row &state) {
    RZ_ASSIGN(timeline_, session_.timeline());
    RZ_ASSIGN(queue_, session_.queue());
    RZ_ASSIGN(state_, session_.buffer(kStateBytes));
    state_values = state;
    AbiError error;
    RZ_TRY(
        expect_ok(session_.api().buffer->write(state_.get(), 0, state.data(), kStateBytes, &error),
                  error, "buffer.write"));
    rz_instance *instance = nullptr;
    RZ_TRY(expect_ok(session_.api().instance->create(program_, &instance, &error), error,
                     "instance.create"));
    instance_ = {instance, session_.api().instance->destroy};
    return bind(graph_->s, state_.get());
}

Status Adder::bind(TensorId tensor, rz_buffer *buffer, uint64_t offset) {
    rz_binding binding{};
    binding.struct_size = sizeof binding;
    binding.tensor = tensor;
    binding.buffer = buffer;
    binding.offset = offset;
    AbiError error;
    return expect_ok(
        session_.api().instance->bind(instance_.get(), &binding, sizeof binding, 1, &error), error,
        "instance.bind");
}

Submission Adder::submission(int64_t rows, float first) {
    const size_t count = static_cast<size_t>(rows) * kAdderWidth;
    x.assign(count, 0);
    for (size_t i = 0; i < count; ++i)
        x[i] = first + static_cast<float>(i);
    y.assign(count, std::numeric_limits<float>::quiet_NaN());
    Submission out;
    out.symbols = {rows};
    out.update(graph_->x, x.data(), count * sizeof(float));
    out.read(graph_->y, y.data(), count * sizeof(float));
    out.signals = {{timeline_.get(), signalled + 1}};
    return out;
}

rz_code Adder::submit(const Submission &submission, AbiError &error, rz_queue *queue) {
    const rz_submit submit = submission.make(instance_.get());
    const rz_code code =
        session_.api().queue->submit(queue != nullptr ? queue : queue_.get(), &submit, &error);
    if (code == RZ_OK) ++signalled;
    return code;
}

Status Adder::wait() {
    AbiError error;
    return expect_ok(session_.api().timeline->wait(timeline_.get(), signalled, kWaitNs, &error),
                     error, "timeline.wait for the submission");
}

Status Adder::run(int64_t rows, float first) {
    AbiError error;
    RZ_TRY(expect_ok(submit(submission(rows, first), error), error, "queue.submit"));
    RZ_TRY(wait());
    return check(rows, first);
}

Status Adder::check(int64_t rows, float first) const {
    for (size_t i = 0; i < static_cast<size_t>(rows) * kAdderWidth; ++i) {
        const float expected =
            graph_->expected(first + static_cast<float>(i), state_values[i % kAdderWidth]);
        CTK_CHECK(std::fabs(y[i] - expected) <= 1e-6f * std::fabs(expected),
                  "element %zu: expected %.9g, found %.9g", i, static_cast<double>(expected),
                  static_cast<double>(y[i]));
    }
    return {};
}

} // namespace realizar::ctk
