// A model file written again: in one piece or in several, with the same metadata and bytes.
#pragma once

#include "core/format/gguf.h"

#include <functional>

namespace realizar {

struct RewriteOptions {
    // Called after each tensor: its index and the number of all.
    std::function<void(size_t index, size_t count)> on_tensor;
    // Asked before each tensor: true ends the work with Code::cancelled.
    std::function<bool()> cancelled;
};

// One GGUF file with everything that `file` holds; so parts are joined.
Status write_gguf(const GgufFile &file, const std::filesystem::path &out,
                  const RewriteOptions &options = {});

struct SplitLimits {
    uint64_t bytes = 0;   // of tensor data per part, unless one tensor is larger; 0: no limit
    uint64_t tensors = 0; // per part; 0: no limit
};

// Parts "<prefix>-00001-of-0000N.gguf"; their number comes back. A failure leaves the parts that were
// complete. Tags: bad_option (no limit), too_many_parts, those of GgufWriter.
Result<uint32_t> split_gguf(const GgufFile &file, const std::filesystem::path &prefix,
                            const SplitLimits &limits, const RewriteOptions &options = {});

} // namespace realizar
