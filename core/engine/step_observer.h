// A look at the numbers within a step, for statistics: some tensors of the graph become outputs, and
// someone gets them after each step. Costs time and memory; nothing of it runs unless asked for.
#pragma once

#include "core/graph/graph.h"
#include "core/models/model.h"
#include "core/scheduler/runner.h"

namespace realizar {

class StepObserver {
  public:
    virtual ~StepObserver() = default;

    // The same graph with further outputs. Called for each variant of the step before it is compiled;
    // the variants have the same nodes and tensors.
    virtual Result<Graph> watch(Graph graph, const ModelFile &model) = 0;
    // Adds reads of those outputs for a step with these symbol values. The memory is the observer's.
    virtual void begin_step(std::span<const int64_t> symbols, std::vector<StepRead> &reads) = 0;
    // The reads hold the numbers of that step.
    virtual void end_step() = 0;
};

} // namespace realizar
