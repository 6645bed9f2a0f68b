// From a model file to the graph of one step.
//
// A step runs T tokens (rows), each with a position, a sequence and a KV cell; R of the rows get
// logits. The same graph serves a prompt batch and a single token: only data and symbols differ.
#pragma once

#include "core/common/result.h"
#include "core/format/gguf.h"
#include "core/graph/graph.h"
#include "core/models/config.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace realizar {

// Bounds that a step graph is built for.
struct StepShape {
    uint32_t max_tokens = 512; // T
    uint32_t max_logits = 1;   // R
    uint32_t sequences = 1;    // S
    uint32_t cells = 2048;     // C: KV cache rows of all sequences together
    uint32_t page_size = 64;   // cells per page
    uint32_t pages = 32;       // P: pages per sequence
    DType key_type = DType::F16;
    DType value_type = DType::F16;
};

// Names of the graph's inputs and output, and the order of its symbols.
//   tokens, positions, sequences, cells: I32 [T]; pages: I32 [S, P]; lengths: I32 [S];
//   logit_rows: I32 [R] (indices into T); logits: F32 [R, vocabulary]
inline constexpr const char *kInputTokens = "tokens";
inline constexpr const char *kInputPositions = "positions";
inline constexpr const char *kInputSequences = "sequences";
inline constexpr const char *kInputCells = "cells";
inline constexpr const char *kInputPages = "pages";
inline constexpr const char *kInputLengths = "lengths";
inline constexpr const char *kInputLogitRows = "logit_rows";
inline constexpr const char *kOutputLogits = "logits";
enum StepSymbol : uint32_t {
    kSymbolTokens = 0,
    kSymbolLogits = 1,
    kSymbolKv = 2,
    kStepSymbols = 3
};

// A file together with its architecture. Immutable; keeps the mapping alive.
class ModelFile {
  public:
    // Errors: missing_key and wrong_type of the file; unknown_architecture with the list of known
    // ones; split_model; bad_hparam; missing_tensor; shape_mismatch; bad_tensor_type. Tensors that
    // the architecture does not use are left alone.
    static Result<std::shared_ptr<const ModelFile>> open(std::shared_ptr<const GgufFile> file);

    const GgufFile &gguf() const { return *file_; }
    const ModelConfig &config() const { return config_; }

    // The graph of a step. WEIGHT keys are indices into gguf().tensors() plus one; the declared type
    // of a weight is the file's, or F32 for the small tensors whose operators want F32.
    Result<Graph> build(const StepShape &shape) const;

  private:
    ModelFile() = default;
    std::shared_ptr<const GgufFile> file_;
    ModelConfig config_;
    size_t architecture_ = 0; // index into the table of architectures
};

// Names in general.architecture that this build knows.
std::vector<std::string> known_architectures();

} // namespace realizar
