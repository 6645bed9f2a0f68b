// The smallest region that has everything: y [T, 5] = x [T, 5] + s [5] with an INPUT, a STATE, an
// output and a symbol T of 1..8. Tests of level 1 drive it through the raw ABI.
#pragma once

#include "tools/ctk/region.h"
#include "tools/ctk/session.h"

#include <array>

namespace realizar::ctk {

inline constexpr int64_t kAdderRows = 8;
inline constexpr size_t kAdderWidth = 5;
inline constexpr uint64_t kAdderBytes = kAdderRows * kAdderWidth * sizeof(float);
inline constexpr uint64_t kStateBytes = kAdderWidth * sizeof(float);

// ADD where the device has it, else MUL; "unsupported" if it has neither.
struct AdderGraph {
    Graph graph;
    TensorId x = kNoTensor, s = kNoTensor, y = kNoTensor;
    bool multiplies = false;

    static Result<AdderGraph> make(Session &session);
    float expected(float a, float b) const { return multiplies ? a * b : a + b; }
};

// One submission under construction; fields may be changed before it is sent.
struct Submission {
    std::vector<int64_t> symbols;
    std::vector<rz_update> updates;
    std::vector<rz_read> reads;
    std::vector<rz_point> waits, signals;
    uint32_t steps = 1;
    std::vector<rz_chain> chains;

    void update(TensorId tensor, const void *data, uint64_t size, uint64_t offset = 0);
    void read(TensorId tensor, void *data, uint64_t size, uint64_t offset = 0);
    rz_submit make(rz_instance *instance) const;
};

class Adder {
  public:
    using Row = std::array<float, kAdderWidth>;

    // Compiled, with a state of these values bound.
    static Result<std::unique_ptr<Adder>> create(Session &session, const Row &state);
    // Another instance of the same program, with a state of its own. The first must outlive it.
    static Result<std::unique_ptr<Adder>> sibling(Adder &first, const Row &state);

    const AdderGraph &facts() const { return *graph_; }
    rz_program *program() const { return program_; }
    rz_instance *instance() const { return instance_.get(); }
    rz_queue *queue() const { return queue_.get(); }
    rz_timeline *timeline() const { return timeline_.get(); }
    rz_buffer *state() const { return state_.get(); }

    // rows of x from `first` on (x[i] = first + i), read back into y. Signals the next value.
    Submission submission(int64_t rows, float first);
    rz_code submit(const Submission &submission, AbiError &error, rz_queue *queue = nullptr);
    // submit, wait, and compare y with the state's values.
    Status run(int64_t rows, float first);
    Status wait();
    Status check(int64_t rows, float first) const;
    // For instances whose state comes from elsewhere.
    Status bind(TensorId tensor, rz_buffer *buffer, uint64_t offset = 0);

    std::vector<float> x, y;
    Row state_values{};
    uint64_t signalled = 0;

  private:
    explicit Adder(Session &session) : session_(session) {}
    Status make_instance(const Row &state);

    Session &session_;
    std::shared_ptr<AdderGraph> graph_;
    Owned<rz_timeline> timeline_{nullptr, nullptr};
    Owned<rz_queue> queue_{nullptr, nullptr};
    Owned<rz_buffer> state_{nullptr, nullptr};
    Owned<rz_program> owner_{nullptr, nullptr};
    rz_program *program_ = nullptr;
    Owned<rz_instance> instance_{nullptr, nullptr};
};

} // namespace realizar::ctk
