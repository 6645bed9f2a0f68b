// Choosing the next token from logits.
//
// Steps, in this order: logit bias, penalties, top-k, top-p, min-p, temperature, draw. So top-p and
// min-p judge the model's own distribution, whatever the temperature. Tokens rank by logit, equal
// ones by id, the lower first. The draw walks the tokens that are left by rising id and compares
// sums in double precision with one number of the generator; exp is computed here. So a seed gives
// the same tokens on every platform for equal logits.
#pragma once

#include "core/common/result.h"
#include "core/sampling/random.h"
#include "core/tokenizer/token.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace realizar {

struct LogitBias {
    Token token;
    float bias; // added to the logit; -infinity forbids the token
};

struct SamplerParams {
    float temperature = 0.8f; // 0 or less: greedy, the rest but bias and penalties has no effect
    int32_t top_k = 40;       // keep the k best; 0: all
    float top_p = 0.95f;      // keep the best whose probabilities reach this sum; 1: all
    float min_p = 0.05f;      // keep those of at least this part of the best's probability; 0: all
    // Over the last repeat_last_n accepted tokens (-1: all of them, 0: none):
    int32_t repeat_last_n = 64;
    float repeat_penalty = 1.0f;    // divides positive logits, multiplies negative ones
    float frequency_penalty = 0.0f; // subtracted for each occurrence
    float presence_penalty = 0.0f;  // subtracted once
    std::vector<LogitBias> logit_bias;
    uint64_t seed = 0;
};

// What chooses one token where logits do not come to the host: a row of the operator SAMPLE
// (realizar/backend.h).
struct TokenDraw {
    float temperature, top_k, top_p, min_p, uniform;
};

// Error bad_sampling_parameter: names the parameter, what was expected and what was found.
Status check_sampler_params(const SamplerParams &params, size_t vocabulary_size);

// One per sequence; not thread-safe. Nothing is allocated after the first sample() of a kind. Logits
// are never sorted as a whole: top-k keeps a heap of k, top-p ranks no more than it keeps (times 5).
class Sampler {
  public:
    static Result<Sampler> create(SamplerParams params, size_t vocabulary_size);

    // logits: one for each token id from 0, at most vocabulary_size; not empty. NaN counts as
    // -infinity. If every token is forbidden the lowest id comes out.
    Token sample(std::span<const float> logits);
    // The same from some tokens only, in any order, each once: values[i] is the logit of ids[i]. The
    // result is that of all logits if these are the best candidates_needed().
    Token sample(std::span<const float> values, std::span<const Token> ids);
    // How many of the best raw logits decide the next result: the vocabulary's size without top-k
    // or when a bias or penalty may raise a logit.
    size_t candidates_needed() const;

    // Does sample() look at nothing but logits? With biases or penalties it does not.
    bool plain() const { return !penalises_ && params_.logit_bias.empty(); }
    // The draws of the next tokens, one each: what SAMPLE makes of them is what sample() would choose,
    // but where a draw falls within rounding of the border between two tokens (sums in F32 and the 24
    // bits of `uniform` against double precision: about once in 10^5 tokens).
    void next_draws(std::span<TokenDraw> draws) const;
    // So many tokens were chosen by the first of these.
    void drawn(size_t count);

    // Counts a token for the penalties: those of the prompt and each one chosen.
    void accept(Token token);
    // As after create: no history, generator at its seed.
    void reset();

    const SamplerParams &params() const { return params_; }

  private:
    struct Candidate {
        float logit;
        Token token;
    };
    struct Occurrence {
        Token token;
        uint32_t count;
    };

    Sampler(SamplerParams params, size_t vocabulary_size);
    static bool better(const Candidate &a, const Candidate &b);
    float penalised(float logit, uint32_t count) const;
    float biased(float logit, Token token) const;
    void forget(Token token);
    void adjust_logits();
    void take_candidates();
    Token choose();
    void keep_top_p(float best);
    void keep_min_p(float best);
    Token draw(float best);

    SamplerParams params_; // logit_bias by rising token
    size_t vocabulary_size_;
    Xoshiro256 random_;
    bool penalises_;
    // Tokens of the window, each once, and where each token stands there (-1: nowhere).
    std::vector<Occurrence> occurrences_;
    std::vector<int32_t> occurrence_of_;
    std::vector<Token> window_; // ring of the last tokens; not used if repeat_last_n is -1
    size_t oldest_ = 0;         // in window_, once it is full
    // Scratch of one call.
    std::vector<float> logits_;
    std::vector<Candidate> candidates_; // from choose() on: by rising token, none at -infinity
    std::vector<Candidate> ranked_;
    std::vector<double> weights_;
};

} // namespace realizar
