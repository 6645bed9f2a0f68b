// Prompt in, text out: the loop of sampling and evaluating, with everything that can end it.
#pragma once

#include "core/engine/session.h"
#include "core/sampling/sampler.h"

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace realizar {

// What happens when the context is full while generating; it never is where the engine streams
// (Engine::sinks). Elsewhere a prompt that does not fit is always an error.
enum class ContextPolicy {
    stop, // the answer ends with FinishReason::length
    slide // the older half of the text after the first `keep` tokens is forgotten
};

enum class FinishReason { stop, length, cancelled };
const char *finish_reason_name(FinishReason reason);

struct GenerateOptions {
    SamplerParams sampling;
    uint32_t max_tokens = UINT32_MAX; // new tokens
    std::vector<std::string> stop;    // never part of the text
    std::vector<Token> stop_tokens;   // besides the model's own end tokens
    bool ignore_end = false;          // go on after end tokens (--ignore-eos)
    ContextPolicy context_policy = ContextPolicy::stop;
    uint32_t keep = 0; // for ContextPolicy::slide
    // How many tokens the device chooses and evaluates before the host sees them, where it can
    // (Engine::candidates_for, most_ahead); what lies behind the end of the answer is dropped. 0: logits
    // come to the host, which chooses. The answer is the same, up to the rounding that
    // Sampler::next_draws speaks of; pieces come in bursts, and a cancellation waits for one.
    // nullopt: 1 on a GPU, else 0.
    std::optional<uint32_t> tokens_per_submission;
};

struct Generation {
    std::vector<Token> tokens; // new ones; an end token that ended it is not among them
    std::string text;
    FinishReason finish_reason = FinishReason::stop;
    uint32_t prompt_tokens = 0;
    uint32_t cached_tokens = 0; // of the prompt, that were in the session already
    uint32_t decode_steps = 0;  // tokens evaluated one by one after the prompt
    double prompt_seconds = 0;  // until the first logits
    double decode_seconds = 0;  // after that
};

// A new token and the text that has become certain with it: whole UTF-8 characters, none of a stop
// string, perhaps empty. What is still held back at the end comes last, without a token.
struct GeneratedPiece {
    std::optional<Token> token;
    std::string_view text; // valid during the call
};
using PieceCallback = std::function<bool(const GeneratedPiece &)>; // false cancels

// The tokens of a text that is to be continued: with BOS where the vocabulary asks for one, never
// with EOS. Control tokens written in the text are parsed.
Result<std::vector<Token>> prompt_tokens(const Tokenizer &tokenizer, std::string_view text,
                                         bool with_bos = true);

// Continues `prompt`; what the session holds of it is not evaluated again. The texts of all pieces
// together are Generation::text. session.cancel() ends with FinishReason::cancelled and what there
// is.
Result<Generation> generate(Session &session, std::span<const Token> prompt,
                            const GenerateOptions &options,
                            const PieceCallback &on_piece = nullptr);

} // namespace realizar
