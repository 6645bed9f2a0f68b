// From a model file to the graph of one step.
//
// A step runs T tokens (rows), each with a position, a sequence and a KV cell; R of the rows get
// logits. The same graph serves a prompt batch and a single token: only data and symbols differ.
#pragma once

#include "core/common/result.h"
#include "core/format/gguf.h"
#include "core/graph/graph.h"
#include "core/models/config.h"

#include <map>
#include <memory>
#include <optional>
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
    // Cells of the layers with a sliding window, which have pages of their own then; 0: they share
    // those of the others.
    uint32_t window_cells = 0;
    // RoPE takes positions of its own, kInputRopePositions, which may grow without end.
    bool streams = false;
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
inline constexpr const char *kInputWindowCells = "window_cells"; // with StepShape::window_cells:
inline constexpr const char *kInputWindowPages = "window_pages"; // as cells and pages
inline constexpr const char *kInputRopePositions = "rope_positions"; // with StepShape::streams: [T]
inline constexpr const char *kOutputLogits = "logits";
enum StepSymbol : uint32_t {
    kSymbolTokens = 0,
    kSymbolLogits = 1,
    kSymbolKv = 2,
    kStepSymbols = 3
};

// What the first dimension of a STATE counts.
enum class StateKind : uint32_t {
    cells,        // of the KV cache
    window_cells, // of the layers with a sliding window
    sequences,    // a recurrent state each
};
// Keys of a graph: weights of the file have their index plus one, numbers that the model computes and
// weights that it puts together follow kConstantKeys, states follow kStateKeys with up to four per layer.
inline constexpr uint64_t kConstantKeys = uint64_t{1} << 40;
inline constexpr uint64_t kStateKeys = uint64_t{1} << 41;
constexpr uint64_t state_key(uint32_t layer, uint32_t which, StateKind kind) {
    return kStateKeys + (uint64_t{layer} * 4 + which) * 4 + static_cast<uint64_t>(kind);
}
constexpr StateKind state_kind(uint64_t key) { return static_cast<StateKind>(key % 4); }

constexpr uint32_t state_layer(uint64_t key) {
    return static_cast<uint32_t>((key - kStateKeys) / 16);
}
constexpr bool is_key_state(uint64_t key) { // what a layer's attention compares queries with
    return state_kind(key) != StateKind::sequences && (key - kStateKeys) / 4 % 4 == 0;
}

// How the keys of a layer turn with their position: pair i of each head by rates[i] radians per unit.
// Pairs are elements (2i, 2i+1), or (i, i + n) of n pairs for halves, counted from `offset` elements
// into the head.
struct KeyRope {
    bool halves = false;
    uint32_t offset = 0;
    std::vector<double> rates;
};

// Where the bytes of a weight are and what type they have there. Parts of whole rows, in order: one,
// or a matrix per expert where the file has them apart.
struct ModelWeight {
    std::vector<std::span<const std::byte>> parts;
    DType dtype = DType::F32;
};

// A file together with its architecture. Immutable; keeps the mapping alive.
class ModelFile {
  public:
    // Errors: missing_key and wrong_type of the file; unknown_architecture with the list of known
    // ones; bad_hparam; missing_tensor; shape_mismatch; bad_tensor_type. Tensors that
    // the architecture does not use are left alone.
    static Result<std::shared_ptr<const ModelFile>> open(std::shared_ptr<const GgufFile> file);

    const GgufFile &gguf() const { return *file_; }
    const ModelConfig &config() const { return config_; }

    // Does a sequence keep a state of fixed size instead of its past? Then it cannot be cut back.
    bool recurrent() const { return config_.traits.recurrent; }

    // Positions that a sequence can have at most: a model with learned ones knows no others.
    uint32_t most_positions() const;

    // Nothing for layers whose keys do not depend on their position.
    std::optional<KeyRope> key_rope(uint32_t layer, const StepShape &shape) const;

    // The graph of a step. The declared type of a weight is the file's, or F32 for the small tensors
    // whose operators want F32.
    Result<Graph> build(const StepShape &shape) const;
    // The source of a WEIGHT of such a graph, by key. The bytes live as long as the model.
    ModelWeight weight(uint64_t key) const;

  private:
    ModelFile() = default;
    std::shared_ptr<const GgufFile> file_;
    ModelConfig config_;
    size_t architecture_ = 0; // index into the table of architectures
    std::map<uint64_t, std::vector<float>> constants_;
    std::map<uint64_t, std::vector<const GgufTensor *>> stacks_;
};

// Names in general.architecture that this build knows.
std::vector<std::string> known_architectures();

} // namespace realizar
