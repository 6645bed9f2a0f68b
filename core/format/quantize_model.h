// GGUF to GGUF with other element types.
#pragma once

#include "core/format/importance.h"
#include "core/format/quantize_mix.h"

#include <functional>

namespace realizar {

// What became of one tensor.
struct QuantizedTensor {
    std::string_view name;
    DType from, wanted, to; // to != wanted: the rows do not fit the blocks of the wanted type
    bool importance;        // steered by the importance matrix
    uint64_t bytes;
    size_t index, count; // of all tensors
};

struct QuantizeOptions {
    std::vector<TypeOverride> overrides;          // before the target's own choice; the first match
    const ImportanceMatrix *importance = nullptr; // used for the tensors that it has
    // Runs body(0) ... body(count - 1), in any order and on any threads, and returns when all are
    // done. Empty: one after the other on the calling thread.
    std::function<void(uint64_t count, const std::function<void(uint64_t)> &body)> parallel_for;
    // Called after each tensor, on the calling thread.
    std::function<void(const QuantizedTensor &)> on_tensor;
    // Asked before each tensor, on the calling thread: true ends the work with Code::cancelled.
    std::function<bool()> cancelled;
};

// Matrices (rank 2 and more) get the type that choose_type gives. Metadata is copied. Memory beside the
// mapped input stays below 48 MiB; `out` appears only when all went well, and may be the input.
//
// Tags: no_codec, non_finite (a NaN or Inf in a weight), importance_mismatch (columns of another
// model), split_model, file_changed, and the writer's.
Status quantize_model(const GgufFile &in, const std::filesystem::path &out,
                      const QuantizeTarget &target, const QuantizeOptions &options = {});

} // namespace realizar
