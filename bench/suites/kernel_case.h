// One graph on one device, with made-up values in its leaves: what checks of kernels are made of.
#pragma once

#include "core/graph/builder.h"
#include "core/scheduler/weight_loader.h"

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace realizar::bench {

// Values between -1 and 1 that depend on the name, the place and nothing else, so that two devices, or
// two graphs with leaves of one name, are given the same.
float made_up(uint64_t seed, uint64_t index);
uint64_t seed_of(std::string_view name);
// Rows of a weight with such values over the root of the row's length. Tag: no_codec.
Result<std::vector<std::byte>> made_up_rows(DType dtype, uint64_t rows, uint64_t row_elements,
                                            uint64_t seed);

// Graphs are without symbols; weights have the keys seed_of(name). Not thread-safe.
class KernelCase {
  public:
    // F32 inputs hold made-up values, others zeros until set(); states hold zeros.
    static Result<KernelCase> create(const DevicePtr &device, Graph graph);
    // Of an input, for the submissions that follow.
    void set(std::string_view input, std::span<const std::byte> bytes);
    template <class T>
    void set(std::string_view input, const std::vector<T> &values) {
        set(input, std::as_bytes(std::span(values)));
    }
    // With `transfers` all inputs go to the device and all outputs come back, else nothing moves.
    Status submit(bool transfers);
    Status wait();
    Status step(bool transfers);
    // Of the last submission with transfers.
    std::span<const float> output(std::string_view name) const;
    const DevicePtr &device() const { return device_; }

  private:
    Status load();
    Status bind();

    DevicePtr device_;
    std::unique_ptr<Graph> graph_; // does not move, the ABI's view points into it
    std::map<uint64_t, std::vector<std::byte>> sources_; // of weights, by key
    // Destroyed from the bottom up.
    Timeline timeline_;
    std::vector<Buffer> states_;
    LoadedWeights weights_;
    Program program_;
    Instance instance_;
    Queue queue_;
    uint64_t submitted_ = 0;
    std::map<TensorId, std::vector<std::byte>> inputs_, outputs_;
    std::vector<rz_update> updates_;
    std::vector<rz_read> reads_;
};

// Median seconds of a call: one to warm up, then at least three and until the time is over.
Result<double> median_seconds(double budget, const std::function<Status()> &call);
// Length of a - b over the length of b; infinite where a is not finite.
double distance(std::span<const float> a, std::span<const float> b);
// Beyond this distance, the largest that F16 in place of F32 explains, a result is wrong.
inline constexpr double kAgree = 2e-3;

} // namespace realizar::bench
