// The float64 reference: what every operator means, written as plainly as possible.
//
// Slow on purpose. It judges backends (tests, the conformance kit) and runs as the built-in backend
// "reference", which is always there. All arithmetic is double; rounding happens only where the
// operator's contract says so (KV_WRITE to the cache's type, COPY to F16 / BF16) and in outputs
// that leave as F32.
#pragma once

#include "core/common/result.h"
#include "realizar/backend.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace realizar {

// A whole tensor storage as numbers, contiguous, row-major; integers are exact in a double.
struct RefValue {
    std::vector<int64_t> dims; // symbols resolved
    std::vector<double> data;
};

// From and to the bytes of a canonical tensor (any dtype with a codec, and I32).
Result<RefValue> ref_from_bytes(rz_dtype dtype, std::span<const int64_t> dims,
                                std::span<const std::byte> bytes);
Status ref_to_bytes(const RefValue &value, rz_dtype dtype, std::span<std::byte> bytes);

// Runs the nodes in order. `values` has one entry per tensor of the graph: WEIGHT, INPUT and STATE
// storages are filled by the caller (STATE changes in place), all other storages by the call;
// entries of views stay empty. `symbols` has one value per symbol.
Status ref_run(const rz_graph &graph, std::span<const int64_t> symbols,
               std::vector<RefValue> &values);

// The built-in backend "reference": the same ABI tables that a plugin returns, linked into the
// core. Follows every rule of backend.h, so the conformance kit passes on it.
const rz_plugin *reference_plugin();

} // namespace realizar
