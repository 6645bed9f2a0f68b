// A model that is ready to run: file, tokenizer, devices, KV cache.
//
// The Engine runs batches of rows (one token of one sequence each); Session and generate() are the
// comfortable way to use it. One thread at a time may run(); everything const is thread-safe.
#pragma once

#include "core/engine/kv_pages.h"
#include "core/engine/step_observer.h"
#include "core/models/model.h"
#include "core/scheduler/runner.h"
#include "core/tokenizer/tokenizer.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace realizar {

struct EngineOptions {
    std::vector<DevicePtr> devices; // in order of preference; at least one
    bool require_first = false;     // refuse to run any part elsewhere
    uint32_t context = 0;           // positions per sequence; 0: the model's, at most 4096
    uint32_t sequences = 1;         // that can be alive at once
    uint32_t batch = 512;           // rows per step
    uint32_t logit_rows = 1;        // rows per step that may ask for logits
    DType key_type = DType::F16, value_type = DType::F16; // of the cache: F32, F16, Q8_0, Q4_0
    bool check_tensors = false; // look for NaN and Inf in all weights first
    std::function<bool(uint64_t done, uint64_t total)> progress; // bytes; false cancels
    std::shared_ptr<StepObserver> observer;                      // of all steps; may be null
};

struct BatchRow {
    Token token;
    uint32_t position;
    uint32_t sequence;
    bool logits; // wanted for this row
};

// A part of what a sequence has in memory: rows of one state, which are positions of the KV cache or,
// for recurrent states, the only one.
struct SequencePart {
    uint64_t key; // of the state, without what its first dimension counts
    DType dtype;
    bool recurrent;
    uint32_t first, count; // rows: positions [first, first + count)
    uint64_t row_bytes;
    uint64_t bytes() const { return count * row_bytes; }
};

class Engine {
  public:
    static Result<std::shared_ptr<Engine>> load(std::shared_ptr<const GgufFile> file,
                                                const EngineOptions &options);

    const ModelConfig &config() const { return model_->config(); }
    const GgufFile &file() const { return model_->gguf(); }
    const std::shared_ptr<const Tokenizer> &tokenizer() const { return tokenizer_; }
    const Runner &runner() const { return *runner_; }
    uint32_t context() const { return context_; }
    uint32_t batch() const { return batch_; }
    uint32_t logit_rows() const { return logit_rows_; }
    uint64_t weight_source_bytes() const; // of the file's tensors

    // Sequences are numbered slots. acquire fails with context_full when all are taken.
    Result<uint32_t> acquire_sequence();
    void release_sequence(uint32_t sequence);
    // Forgets positions from `length` on and returns how many are left: `length`, or 0 where the model
    // cannot go back that far (recurrent states; sliding windows whose past is gone).
    uint32_t cut(uint32_t sequence, uint32_t length);
    uint32_t length(uint32_t sequence) const { return pages_.length(sequence); }

    // Runs 1 to batch() rows. Positions of a sequence must continue it without a gap. `logits` gets
    // config().vocabulary floats for each row that wants them, in order. On an error the sequences
    // are as before, but for the contents of cells past their length; those of a recurrent model
    // may be empty then.
    Status run(std::span<const BatchRow> rows, std::span<float> logits);

    // The memory of a sequence in canonical layout, in the order of sequence_parts(), in pieces. The
    // same model gives the same parts on every device.
    std::vector<SequencePart> sequence_parts(uint32_t sequence) const;
    Status read_sequence(uint32_t sequence,
                         const std::function<Status(std::span<const std::byte>)> &sink) const;
    // The opposite, for a sequence of `length` positions whose parts were `parts` with their bytes
    // one after the other in `data`. The sequence must be empty, and is so after an error. Tags:
    // session_mismatch (other states, or not enough of them), context_full.
    Status write_sequence(uint32_t sequence, uint32_t length, std::span<const SequencePart> parts,
                          std::span<const std::byte> data);

  private:
    static constexpr uint32_t kPageSize = 64; // cells; a multiple of what attention kernels tile by

    Engine(KvPages pages) : pages_(std::move(pages)) {}
    Status check(std::span<const BatchRow> rows, size_t logits) const;
    Status step(std::span<const BatchRow> rows, std::span<float> logits);
    Status grow(const BatchRow &row);
    void shrink(uint32_t sequence, uint32_t length);
    SequencePart part_of(TensorId state, uint32_t sequence) const;
    Status restore(uint32_t sequence, uint32_t length, std::span<const SequencePart> parts,
                   std::span<const std::byte> data);
    // Calls each(offset, size) for the bytes of a state that rows [first, first + count) of a part
    // are, in order.
    Status each_piece(TensorId state, const SequencePart &part, uint32_t sequence, uint32_t first,
                      const std::function<Status(uint64_t offset, uint64_t size)> &each) const;

    std::shared_ptr<const ModelFile> model_;
    std::shared_ptr<const Tokenizer> tokenizer_;
    std::unique_ptr<Runner> runner_;
    std::shared_ptr<StepObserver> observer_;
    KvPages pages_;
    std::optional<KvPages>
        window_pages_; // of layers with a sliding window, where that saves memory
    uint32_t context_ = 0, batch_ = 0, logit_rows_ = 0;
    std::vector<uint32_t> free_sequences_;
    // Data of the next step, kept so that a step allocates nothing.
    struct Inputs {
        std::vector<int32_t> tokens, positions, sequences, cells, window_cells, logit_rows;
        std::vector<StepUpdate> updates;
        std::vector<StepRead> reads;
    } inputs_;
    struct Ids {
        TensorId tokens, positions, sequences, cells, pages, lengths, logit_rows, logits;
        TensorId window_cells, window_pages; // kNoTensor: the model has none
    } ids_{};
};

} // namespace realizar
