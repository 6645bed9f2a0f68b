// One part of a model, ready to be timed on one device.
#pragma once

#include "core/scheduler/cost_measure.h"
#include "core/scheduler/weight_loader.h"

#include <map>
#include <optional>

namespace realizar {

class RegionMeter {
  public:
    // Nodes [begin, end) of the variants.
    static Result<RegionMeter> create(const DevicePtr &device, const MeasureOptions &options,
                                      size_t begin, size_t end);
    // Submission and wait, warmed up; at least one run.
    Result<Cost> time(const StepSample &sample);

  private:
    struct Compiled {
        Graph::Region part;
        Program program;
        Instance instance;
    };
    RegionMeter(const DevicePtr &device, const MeasureOptions &options, size_t begin, size_t end)
        : device_(device), options_(&options), begin_(begin), end_(end) {}
    Result<Compiled *> compiled(size_t variant);
    Result<double> run(Compiled &region, const StepSample &sample, bool first);

    DevicePtr device_;
    const MeasureOptions *options_;
    size_t begin_, end_;
    // Destroyed from the bottom up.
    Timeline timeline_;
    Queue queue_;
    uint64_t signalled_ = 0;
    std::map<uint64_t, Buffer> states_; // by key
    LoadedWeights weights_;
    std::map<size_t, Compiled> compiled_; // by variant
    std::vector<float> noise_;            // what comes from parts before this one
    std::vector<std::byte> result_;
};

} // namespace realizar
