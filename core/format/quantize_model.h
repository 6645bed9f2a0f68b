// GGUF to GGUF with other element types.
#pragma once

#include "core/format/gguf.h"

#include <functional>

namespace realizar {

// What a file can be quantised to.
struct QuantizeTarget {
    const char *name;   // as users write it, e.g. "Q4_K_M"
    DType base;         // of most matrices
    DType more;         // of those that lose most by few bits; equal to base in a pure target
    uint32_t file_type; // general.file_type
};
std::span<const QuantizeTarget> quantize_targets();
// By name, letter case ignored; nullptr for an unknown one.
const QuantizeTarget *find_quantize_target(std::string_view name);

// What became of one tensor.
struct QuantizedTensor {
    std::string_view name;
    DType from, wanted, to; // to != wanted: the rows do not fit the blocks of the wanted type
    uint64_t bytes;
    size_t index, count; // of all tensors
};

struct QuantizeOptions {
    // Runs body(0) ... body(count - 1), in any order and on any threads, and returns when all are
    // done. Empty: one after the other on the calling thread.
    std::function<void(uint64_t count, const std::function<void(uint64_t)> &body)> parallel_for;
    // Called after each tensor, on the calling thread.
    std::function<void(const QuantizedTensor &)> on_tensor;
    // Asked before each tensor, on the calling thread: true ends the work with Code::cancelled.
    std::function<bool()> cancelled;
};

// Matrices (rank 2 and more) get the target's type, or Q8_0 or F16 where their rows do not fit its
// blocks; vectors become F32; integer tensors and the few small matrices that decide more than they
// weigh (expert routers, position tables) stay as they are. Metadata is copied. Memory beside the
// mapped input stays below 48 MiB; `out` appears only when all went well, and may be the input.
//
// Tags: no_codec, non_finite (a NaN or Inf in a weight), split_model, file_changed, and the writer's.
Status quantize_model(const GgufFile &in, const std::filesystem::path &out,
                      const QuantizeTarget &target, const QuantizeOptions &options = {});

} // namespace realizar
