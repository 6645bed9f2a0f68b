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

// Runs every step of the region; `options` say how memory is handed over.
Status judge(Session &session, const Region &region, uint64_t seed, const DeviceOptions &options);
// The same with ways of memory chosen by the seed.
Status judge(Session &session, const Region &region, uint64_t seed);

} // namespace realizar::ctk
