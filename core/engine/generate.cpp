#include "core/engine/generate.h"

#include "core/engine/stop_matcher.h"

#include <algorithm>
#include <chrono>

namespace realizar {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// The state of one generation.
class Generator {
  public:
    Generator(Session &session, const GenerateOptions &options, Sampler sampler,
              const PieceCallback &on_piece)
        : session_(session), options_(options), sampler_(std::move(sampler)), on_piece_(on_piece),
          decoder_(session.engine().tokenizer()), stops_(options.stop) {}

    Result<Generation> run(std::span<const Token> prompt);

  private:
    bool ends(Token token) const;
    bool emit(std::optional<Token> token, const std::string &text); // false: the caller cancels
    // Evaluates the prompt; false if that was cancelled.
    Result<bool> start(std::span<const Token> prompt);
    uint32_t tokens_ahead();  // that the device chooses at a time; 0: the host does
    bool take(Token token);   // into the answer; false: that was its end
    Status next(Token token); // evaluates it, making room if the policy says so, and chooses
    Status next_ahead(Token token);
    Status slide();
    Status loop();

    Session &session_;
    const GenerateOptions &options_;
    Sampler sampler_;
    const PieceCallback &on_piece_;
    StreamDecoder decoder_;
    StopMatcher stops_;
    Generation out_;
    bool caller_cancelled_ = false;
    std::vector<Token> chosen_; // next ones; all but the last are evaluated
    std::vector<TokenDraw> draws_;
    uint32_t candidates_ = 0; // that the device chooses among; 0: the host does
};

bool Generator::ends(Token token) const {
    if (std::ranges::find(options_.stop_tokens, token) != options_.stop_tokens.end()) return true;
    return !options_.ignore_end && session_.engine().tokenizer()->is_end(token);
}

bool Generator::emit(std::optional<Token> token, const std::string &text) {
    out_.text += text;
    if (on_piece_ && !on_piece_({token, text})) caller_cancelled_ = true;
    return !caller_cancelled_;
}

Status Generator::slide() {
    const auto held = session_.tokens();
    const size_t keep = std::min<size_t>(options_.keep, held.size() / 2);
    const size_t tail = (held.size() - keep) / 2;
    std::vector<Token> rest(held.begin(), held.begin() + static_cast<ptrdiff_t>(keep));
    rest.insert(rest.end(), held.end() - static_cast<ptrdiff_t>(tail), held.end());
    return session_.assign(rest);
}

uint32_t Generator::tokens_ahead() {
    const Engine &engine = session_.engine();
    const uint32_t kind = engine.runner().devices().front()->info().kind;
    const bool gpu = kind == RZ_DEVICE_GPU || kind == RZ_DEVICE_INTEGRATED_GPU;
    const uint32_t wanted = options_.tokens_per_submission.value_or(gpu ? 1 : 0);
    if (wanted == 0) return 0;
    candidates_ = session_.candidates_for(sampler_);
    return candidates_ == 0 ? 0 : std::min(wanted, engine.most_ahead());
}

Status Generator::next(Token token) {
    if (session_.tokens().size() == session_.engine().context() &&
        options_.context_policy == ContextPolicy::slide)
        RZ_TRY(slide());
    // A device that was lost since took its way of choosing along.
    if (!draws_.empty()) draws_.resize(std::min<size_t>(draws_.size(), tokens_ahead()));
    if (!draws_.empty()) {
        const size_t held = session_.tokens().size();
        auto status = next_ahead(token);
        const bool moved = !status.ok() && status.error().code == Code::device_lost &&
                           session_.tokens().size() == held;
        if (!moved) return status;
        draws_.clear(); // the model is on other devices now, and the host chooses
    }
    RZ_TRY(session_.append(std::span(&token, 1)));
    ++out_.decode_steps;
    chosen_.assign(1, sampler_.sample(session_.logits()));
    return {};
}

Status Generator::next_ahead(Token token) {
    const size_t missing = options_.max_tokens - out_.tokens.size();
    const size_t count = std::min(draws_.size(), missing);
    sampler_.next_draws(std::span(draws_).first(count));
    chosen_.resize(count);
    RZ_ASSIGN(const size_t made,
              session_.append_ahead(token, candidates_, std::span(draws_).first(count), chosen_));
    chosen_.resize(made);
    sampler_.drawn(made);
    out_.decode_steps += static_cast<uint32_t>(made);
    return {};
}

bool Generator::take(Token token) {
    sampler_.accept(token);
    if (ends(token)) {
        out_.finish_reason = FinishReason::stop;
        return false;
    }
    out_.tokens.push_back(token);
    if (!emit(token, stops_.push(decoder_.push(token)))) {
        out_.finish_reason = FinishReason::cancelled;
        return false;
    }
    if (stops_.matched()) {
        out_.finish_reason = FinishReason::stop;
        return false;
    }
    return out_.tokens.size() < options_.max_tokens;
}

Status Generator::loop() {
    out_.finish_reason = FinishReason::length;
    if (options_.max_tokens == 0) return {};
    chosen_.assign(1, sampler_.sample(session_.logits()));
    for (;;) {
        for (size_t i = 0; i < chosen_.size(); ++i) {
            if (take(chosen_[i])) continue;
            // The device has evaluated this one and some behind it in vain.
            const size_t surplus = chosen_.size() - 1 - i;
            session_.cut(session_.tokens().size() - surplus);
            out_.decode_steps -= static_cast<uint32_t>(surplus);
            return {};
        }
        if (auto status = next(chosen_.back()); !status.ok()) {
            // A full context ends the answer as a length limit does; what was cancelled keeps its text.
            if (status.error().code == Code::context_full) return {};
            if (status.error().code != Code::cancelled) return status;
            out_.finish_reason = FinishReason::cancelled;
            return {};
        }
    }
}

Result<bool> Generator::start(std::span<const Token> prompt) {
    const auto held = session_.tokens();
    const auto same = std::ranges::mismatch(held, prompt).in1 - held.begin();
    out_.prompt_tokens = static_cast<uint32_t>(prompt.size());
    out_.cached_tokens = static_cast<uint32_t>(same);
    const auto begin = Clock::now();
    auto status = session_.assign(prompt);
    out_.prompt_seconds = seconds_since(begin);
    if (!status.ok() && status.error().code == Code::cancelled) {
        out_.finish_reason = FinishReason::cancelled;
        return false;
    }
    RZ_TRY(std::move(status));
    for (const Token token : prompt)
        sampler_.accept(token); // penalties look at the prompt too
    return true;
}

Result<Generation> Generator::run(std::span<const Token> prompt) {
    draws_.resize(tokens_ahead()); // may compile something: before the clocks start
    RZ_ASSIGN(const bool started, start(prompt));
    if (!started) return std::move(out_);
    const auto decode_start = Clock::now();
    RZ_TRY(loop());
    out_.decode_seconds = seconds_since(decode_start);
    if (!stops_.matched() && !caller_cancelled_) {
        const std::string rest = stops_.push(decoder_.finish()) + stops_.finish();
        if (!rest.empty()) emit(std::nullopt, rest);
    }
    return std::move(out_);
}

} // namespace

Result<std::vector<Token>> prompt_tokens(const Tokenizer &tokenizer, std::string_view text,
                                         bool with_bos) {
    RZ_ASSIGN(std::vector<Token> tokens, tokenizer.encode(text, {.add_special = false}));
    const Vocabulary &vocabulary = tokenizer.vocabulary();
    if (with_bos && vocabulary.add_bos && vocabulary.bos)
        tokens.insert(tokens.begin(), *vocabulary.bos);
    return tokens;
}

const char *finish_reason_name(FinishReason reason) {
    switch (reason) {
    case FinishReason::stop: return "stop";
    case FinishReason::length: return "length";
    case FinishReason::cancelled: return "cancelled";
    }
    return "stop";
}

Result<Generation> generate(Session &session, std::span<const Token> prompt,
                            const GenerateOptions &options, const PieceCallback &on_piece) {
    if (prompt.empty())
        return make_error(Code::invalid_argument, "empty_prompt",
                          "expected at least one prompt token, found none");
    RZ_ASSIGN(Sampler sampler,
              Sampler::create(options.sampling, session.engine().config().vocabulary));
    return Generator(session, options, std::move(sampler), on_piece).run(prompt);
}

} // namespace realizar
