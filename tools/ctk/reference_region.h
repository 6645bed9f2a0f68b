// A region on the float64 reference, with the limits that a device has to keep.
//
// One node: limit = kSigmas sigma of the node (tolerance.h). More nodes: the region runs kRuns more
// times, each time with normal noise of its sigma added to every node's result; the spread of these
// runs around the undisturbed one is what correct rounding may do to the outputs, so a limit follows
// from it without knowing how errors travel through the graph.
#pragma once

#include "tools/ctk/region.h"
#include "tools/ctk/tolerance.h"

#include <vector>

namespace realizar::ctk {

inline constexpr int kRuns = 8;
// The spread is estimated from kRuns samples, so its own error is some tens of percent.
inline constexpr double kSigmasOfSpread = 12;

class ReferenceRegion {
  public:
    ReferenceRegion(const Graph &graph, uint64_t seed);

    // Numbers of the WEIGHT and STATE leaves; afterwards states live on in here.
    Status set_constants(const Leaves &leaves);
    // Runs the nodes with the INPUT bytes of the leaves.
    Status run(std::span<const int64_t> symbols, const Leaves &leaves);

    // Goes back to the values of an earlier copy (of the same region).
    void take_values(const ReferenceRegion &earlier) {
        truth_ = earlier.truth_;
        runs_ = earlier.runs_;
    }

    const RefValue &value(TensorId id) const { return truth_[id]; }
    // How far each element of an output or state may be from its value.
    std::vector<double> limits(TensorId id) const;
    bool single() const { return runs_.empty(); }

  private:
    using Values = std::vector<RefValue>;
    Status set_leaf(TensorId id, std::span<const int64_t> dims, const Bytes &bytes);
    void execute(uint32_t node, std::span<const int64_t> symbols, Values &values) const;
    void add_noise(uint32_t node, std::span<const int64_t> symbols, RefValue &before);
    RefTensor tensor(TensorId id, std::span<const int64_t> symbols, Values &values) const;

    const Graph &graph_;
    rz_graph view_;
    Random random_;
    Values truth_;
    std::vector<Values> runs_;
    std::vector<std::vector<double>> sigma_; // by tensor, of a single node
};

} // namespace realizar::ctk
