// A model that is ready to run: file, tokenizer, devices, KV cache.
//
// The Engine runs batches of rows (one token of one sequence each); Session and generate() are the
// comfortable way to use it. One thread at a time may run(); everything const is thread-safe.
#pragma once

#include "core/engine/key_turner.h"
#include "core/engine/kv_pages.h"
#include "core/engine/step_observer.h"
#include "core/models/model.h"
#include "core/sampling/sampler.h"
#include "core/scheduler/plan.h"
#include "core/scheduler/runner.h"
#include "core/tokenizer/tokenizer.h"

#include <cstdint>
#include <functional>
#include <map>
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
    // Above 0 the engine streams (see slide()), and at least so many first positions of a sequence
    // stay.
    uint32_t sinks = 0;
    // A streaming engine keeps the positions that RoPE sees below this (or twice the context), so that
    // they are exact in F32.
    uint32_t rope_limit = 1u << 24;
    DType key_type = DType::F16, value_type = DType::F16; // of the cache: F32, F16, Q8_0, Q4_0
    bool check_tensors = false; // look for NaN and Inf in all weights first
    std::function<bool(uint64_t done, uint64_t total)> progress; // bytes; false cancels
    std::shared_ptr<StepObserver> observer;                      // of all steps; may be null
    PlacementOptions placement; // where parts run, within `devices`
    // Told in a sentence when a device was lost and its part of the model has moved. Kept.
    std::function<void(const std::string &)> notice;
};

struct BatchRow {
    Token token;
    uint32_t position;
    uint32_t sequence;
    bool logits; // wanted for this row
};

// Where a sequence that has slid stands: RoPE sees its position p as p + shift, and the first `sinks`
// positions have stayed. Both 0 if it has not.
struct StreamPlace {
    uint32_t shift = 0, sinks = 0;
    bool operator==(const StreamPlace &) const = default;
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

// Where a model would run.
struct ModelPlan {
    std::vector<DevicePtr> devices;
    std::vector<Placement> placements; // by variant: single tokens, prompt batches
    std::vector<StepSample> samples;   // what the plan is for
    PlanReport report;
};

class Engine {
  public:
    static Result<std::shared_ptr<Engine>> load(std::shared_ptr<const GgufFile> file,
                                                const EngineOptions &options);

    // What load() would do with these options, without loading.
    static Result<ModelPlan> plan(std::shared_ptr<const GgufFile> file,
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

    // Attention sinks (Xiao et al., StreamingLLM, arXiv:2309.17453): text without end in a cache of
    // fixed size. Positions that a sequence keeps when it slides, whole pages; 0: the engine does not
    // stream.
    uint32_t sinks() const { return sinks_; }
    // Forgets the page of positions behind the sinks and returns how many those are. What lies behind
    // moves down by as much: keys stay where and as they are, only those of the sinks are turned, from
    // what they were at first, to the distance that they have now. The sequence must be full, and is
    // empty after an error.
    Result<uint32_t> slide(uint32_t sequence);
    StreamPlace stream_place(uint32_t sequence) const;
    Status check_place(const StreamPlace &place) const; // session_mismatch: cannot go on there

    // Runs 1 to batch() rows. Positions of a sequence must continue it without a gap. `logits` gets
    // config().vocabulary floats for each row that wants them, in order. On an error the sequences
    // are as before, but for the contents of cells past their length; those of a recurrent model
    // may be empty then.
    // A device that is lost meanwhile is replaced by others, if there are any: the sequences are
    // evaluated again there, and the run goes on. Those whose tokens the engine does not know, and all
    // where that fails, are empty afterwards.
    Status run(std::span<const BatchRow> rows, std::span<float> logits);

    // Among how many tokens the device would choose as this sampler does; 0: only the host can, because
    // of biases, penalties, a top_k of 0 or above 1024, a model on several devices, or operators that
    // its device lacks. Compiles what that takes the first time.
    uint32_t candidates_for(const Sampler &sampler);
    // Evaluates `token` behind what the sequence has and lets the device choose the next token by
    // draws[0], evaluates that and chooses by draws[1], and so on, in one submission; only the chosen
    // tokens come back. The last one is not evaluated. At most most_ahead() draws, and a token for each;
    // candidates: of candidates_for(). Errors as of run().
    Status run_ahead(uint32_t sequence, Token token, uint32_t candidates,
                     std::span<const TokenDraw> draws, std::span<Token> chosen);
    // Above 1 only where a sequence can be cut back when fewer tokens were wanted.
    uint32_t most_ahead() const;

    // The memory of a sequence in canonical layout, in the order of sequence_parts(), in pieces. The
    // same model gives the same parts on every device. The keys of sinks are those that they were at
    // first.
    std::vector<SequencePart> sequence_parts(uint32_t sequence) const;
    Status read_sequence(uint32_t sequence,
                         const std::function<Status(std::span<const std::byte>)> &sink) const;
    // The opposite, for a sequence of `length` positions whose parts were `parts` with their bytes
    // one after the other in `data`. The sequence must be empty, and is so after an error. Tags:
    // session_mismatch (other states, or not enough of them; a place where this engine does not come
    // by), context_full.
    Status write_sequence(uint32_t sequence, uint32_t length, std::span<const SequencePart> parts,
                          std::span<const std::byte> data, StreamPlace place = {});
    // The tokens of a sequence that was written so.
    void remember(uint32_t sequence, std::span<const Token> tokens);

  private:
    static constexpr uint32_t kPageSize = 64; // cells; a multiple of what attention kernels tile by

    Engine(const EngineOptions &options, const StepShape &shape, uint32_t context);
    void find_ids(const Graph &graph);
    Status check(std::span<const BatchRow> rows, size_t logits) const;
    // Room for the rows behind what their sequences have; nothing has happened if it fails. And back,
    // after a step that failed.
    Status make_room(std::span<const BatchRow> rows);
    void give_back(std::span<const BatchRow> rows);
    void list_rows(std::span<const BatchRow> rows); // in inputs_
    // Everything but the weights, which are loaded unless a plan is asked for.
    static Result<std::shared_ptr<Engine>> build(std::shared_ptr<const GgufFile> file,
                                                 const EngineOptions &options, ModelPlan *plan);
    Status run_once(std::span<const BatchRow> rows, std::span<float> logits);
    Status step(std::span<const BatchRow> rows, std::span<float> logits);
    // After a lost device, engine_recover.cpp.
    void remember(std::span<const BatchRow> rows);
    Status recover(); // makes the sequences as long as lengths_before_
    Status recover_once();
    Status replay(uint32_t sequence, std::span<const Token> tokens);
    // A variant that chooses a token.
    struct Choice {
        size_t variant;
        TensorId draws, chosen; // draws: kNoTensor where the best token is it
    };
    Result<Choice> make_choice(uint32_t candidates);
    Status step_ahead(const Choice &choice, std::span<const TokenDraw> draws,
                      std::span<Token> chosen);
    Status grow(const BatchRow &row);
    void shrink(uint32_t sequence, uint32_t length);
    SequencePart part_of(TensorId state, uint32_t sequence) const;
    Status restore(uint32_t sequence, uint32_t length, std::span<const SequencePart> parts,
                   std::span<const std::byte> data);
    // Calls each(offset, size) for the bytes of a state that rows [first, first + count) of a part
    // are, in order.
    Status each_piece(TensorId state, const SequencePart &part, uint32_t sequence, uint32_t first,
                      const std::function<Status(uint64_t offset, uint64_t size)> &each) const;

    // Streaming, engine_stream.cpp.
    Status prepare_stream(const StepShape &shape);
    Status do_slide(uint32_t sequence);
    Status save_sinks(uint32_t sequence);             // as they are at shift 0
    Status turn_sinks(uint32_t sequence, int64_t by); // from what they were at shift 0
    Status turn_back(uint32_t sequence);              // all positions, to shift 0
    bool has_sinks(TensorId state, uint32_t sequence) const;
    // The rows of sinks that differ from those in memory; empty if they do not.
    std::span<const std::byte> first_sinks(TensorId state, uint32_t sequence) const;
    Status resume_stream(uint32_t sequence, uint32_t shift); // of sinks at shift 0

    std::shared_ptr<const ModelFile> model_;
    std::shared_ptr<const Tokenizer> tokenizer_;
    std::unique_ptr<Runner> runner_;
    std::shared_ptr<StepObserver> observer_;
    KvPages pages_;
    std::optional<KvPages>
        window_pages_; // of layers with a sliding window, where that saves memory
    uint32_t context_, batch_, logit_rows_;
    uint32_t sinks_, rope_limit_;
    struct Keys { // a state whose keys turn with their position
        TensorId state;
        KeyTurner turner;
    };
    std::vector<Keys> keys_;
    struct Streamed { // a sequence that has slid
        uint32_t shift = 0;
        std::vector<std::vector<std::byte>>
            sinks; // by keys_: as they were at shift 0; may be empty
    };
    std::vector<Streamed> streamed_; // by sequence
    std::vector<uint32_t> free_sequences_;
    std::vector<std::vector<Token>> history_; // by sequence; shorter than it where not known
    std::vector<int32_t> lengths_before_;     // of the sequences, before the run
    std::function<void(const std::string &)> notice_;
    bool replaying_ = false;                            // the observer has seen these rows
    std::map<uint32_t, std::optional<Choice>> choices_; // by candidates; nullopt: cannot be had
    std::vector<BatchRow> ahead_rows_;
    // Data of the next step, kept so that a step allocates nothing.
    struct Inputs {
        std::vector<int32_t> tokens, positions, sequences, cells, window_cells, logit_rows;
        std::vector<int32_t> rope_positions, lengths;
        std::vector<StepUpdate> updates;
        std::vector<StepRead> reads;
    } inputs_;
    struct Ids {
        TensorId tokens, positions, sequences, cells, pages, lengths, logit_rows, logits;
        TensorId window_cells, window_pages; // kNoTensor: the model has none
        TensorId rope_positions;             // kNoTensor: the same as positions
    } ids_{};
};

} // namespace realizar
