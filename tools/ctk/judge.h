// Runs a region on the device and on the reference, and compares all that is observable: outputs,
// states, and the memory around them.
#pragma once

#include "tools/ctk/device_region.h"
#include "tools/ctk/reference_region.h"

namespace realizar::ctk {

struct Comparison {
    std::span<const double> got, expected, limit;
    std::span<const int64_t> dims;
    const std::set<int64_t> *free_rows = nullptr; // along dims[0]
};

// Every element within its limit; a NaN is only right where one is expected. The error names the
// worst element and the normalised mean square error of the tensor.
Status compare(const std::string &name, const Comparison &comparison);

// One region on device and reference, step by step.
class Trial {
  public:
    // `region` must outlive the trial.
    static Result<std::unique_ptr<Trial>> create(Session &session, const Region &region,
                                                 uint64_t seed, const DeviceOptions &options);
    // The same program with other states: see DeviceRegion::sibling.
    static Result<std::unique_ptr<Trial>> sibling(const Trial &first, uint64_t seed);

    // Runs a step on both and compares outputs and states.
    Status step(const Step &step);
    // The device binds fresh states; the reference gets the same. Then back to the old ones.
    Status enter_other_states(uint64_t seed);
    Status leave_other_states();
    Status weights_unchanged() const;

  private:
    Trial(const Region &region, uint64_t seed)
        : region_(region), random_(seed), reference_(region.graph, seed ^ 0x6b6974u) {}
    Status compare_outputs(const Step &step);
    Status compare_states();

    const Region &region_;
    Random random_;
    Leaves leaves_, constants_, states_, outputs_, kept_states_;
    ReferenceRegion reference_;
    std::unique_ptr<ReferenceRegion> kept_reference_;
    std::unique_ptr<DeviceRegion> device_;
};

// Runs every step of the region; `options` say how memory is handed over.
Status judge(Session &session, const Region &region, uint64_t seed, const DeviceOptions &options);
// The same with ways of memory chosen by the seed.
Status judge(Session &session, const Region &region, uint64_t seed);

} // namespace realizar::ctk
