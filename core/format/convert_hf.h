// A Hugging Face model folder to GGUF; the families are rows of hf_family.cpp.
#pragma once

#include "core/format/gguf.h"

#include <functional>
#include <optional>

namespace realizar {

struct ConvertOptions {
    // Of matrices: F32, F16 or BF16; empty keeps each as stored. Vectors become F32.
    std::optional<DType> dtype = DType::F16;
    std::string name; // general.name; empty: the folder's name
    // Called after each tensor: its GGUF name, index and the number of all.
    std::function<void(std::string_view name, size_t index, size_t count)> on_tensor;
    // Asked before each tensor: true ends the work with Code::cancelled.
    std::function<bool()> cancelled;
};

// The folder holds config.json, model.safetensors or its shards, and tokenizer.model or
// tokenizer.json. Memory beside
// the mapped input stays below 16 MiB and the vocabulary; `out` appears only when all went well.
//
// Tags: those of parse_hf_config, SafetensorsFolder, set_hf_tokenizer and GgufWriter, and
// missing_tensor, unexpected_tensor, shape_mismatch, non_finite, f16_overflow (a finite weight that
// float16 cannot hold: choose BF16).
Status convert_hf(const std::filesystem::path &folder, const std::filesystem::path &out,
                  const ConvertOptions &options = {});

} // namespace realizar
