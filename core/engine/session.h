// One conversation: a sequence of tokens and its place in the KV cache.
#pragma once

#include "core/engine/engine.h"

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace realizar {

class Session {
  public:
    static Result<std::unique_ptr<Session>> create(std::shared_ptr<Engine> engine);
    ~Session();
    Session(const Session &) = delete;
    Session &operator=(const Session &) = delete;

    const Engine &engine() const { return *engine_; }
    std::span<const Token> tokens() const { return tokens_; } // evaluated so far
    // Logits after the last token; empty before the first. Valid until the next call.
    std::span<const float> logits() const { return logits_; }

    // Evaluates tokens after those so far. Too many for the context: error context_full, and nothing
    // has happened; but where the engine streams, the oldest tokens behind the sinks go. On
    // cancellation and other failures the tokens evaluated so far stay, and logits() is empty if there
    // are any.
    Status append(std::span<const Token> tokens);
    // The same, handing the logits of every token to `row` (index into `tokens`).
    Status append(std::span<const Token> tokens,
                  const std::function<void(size_t index, std::span<const float>)> &row);
    // Engine::candidates_for.
    uint32_t candidates_for(const Sampler &sampler) { return engine_->candidates_for(sampler); }
    // Evaluates `token` and lets the device choose those behind it (Engine::run_ahead), of which all but
    // the last are evaluated, too. Returns how many were chosen: as many as there are draws, or what
    // the context has room for. logits() is empty then. Errors as of append.
    Result<size_t> append_ahead(Token token, uint32_t candidates, std::span<const TokenDraw> draws,
                                std::span<Token> chosen);
    // Makes the session hold exactly `tokens` with logits(), evaluating as little as possible. Too
    // many for the context: error context_full, and nothing has happened.
    Status assign(std::span<const Token> tokens);
    // Keeps the first `count` tokens, or none where the model cannot go back that far (Engine::cut);
    // logits() is empty until the next append.
    void cut(size_t count);

    // Makes the session one of these tokens, whose memory is Engine::write_sequence's parts and data;
    // logits may be empty. After an error the session is empty.
    Status restore(std::vector<Token> tokens, std::span<const float> logits, StreamPlace place,
                   std::span<const SequencePart> parts, std::span<const std::byte> data);
    uint32_t sequence() const { return sequence_; } // in the engine

    // Makes a running call return Code::cancelled soon. [any thread]
    void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
    void clear_cancel() { cancelled_.store(false, std::memory_order_relaxed); }
    bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

  private:
    Session() = default;
    Status check_room(size_t more) const;
    Status slide();

    std::shared_ptr<Engine> engine_;
    uint32_t sequence_ = 0;
    std::vector<Token> tokens_;
    std::vector<float> logits_;
    std::vector<float> rows_logits_;
    std::vector<BatchRow> rows_;
    std::atomic<bool> cancelled_{false};
};

} // namespace realizar
