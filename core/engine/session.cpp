#include "core/engine/session.h"

#include <algorithm>

namespace realizar {

Result<std::unique_ptr<Session>> Session::create(std::shared_ptr<Engine> engine) {
    std::unique_ptr<Session> session(new Session);
    RZ_ASSIGN(session->sequence_, engine->acquire_sequence());
    session->engine_ = std::move(engine);
    session->tokens_.reserve(session->engine_->context());
    session->logits_.reserve(session->engine_->config().vocabulary);
    return session;
}

Session::~Session() {
    if (engine_) engine_->release_sequence(sequence_);
}

Status Session::check_room(size_t more) const {
    if (more <= engine_->context() - tokens_.size() || engine_->sinks() > 0) return {};
    return make_error(
        Code::context_full, "context_full",
        "the context holds %u tokens: %zu are in it and %zu more do not fit (a larger "
        "context can be set when the model is loaded)",
        engine_->context(), tokens_.size(), more);
}

// Room for more where the context is full.
Status Session::slide() {
    const auto gone = engine_->slide(sequence_);
    if (!gone.ok()) {
        tokens_.clear();
        return gone.error();
    }
    const auto first = tokens_.begin() + engine_->sinks();
    tokens_.erase(first, first + *gone);
    return {};
}

Status Session::append(std::span<const Token> tokens) { return append(tokens, nullptr); }

Status Session::append(std::span<const Token> tokens,
                       const std::function<void(size_t, std::span<const float>)> &row) {
    RZ_TRY(check_room(tokens.size()));
    const size_t vocabulary = engine_->config().vocabulary;
    const size_t most = row ? std::min(engine_->batch(), engine_->logit_rows()) : engine_->batch();
    for (size_t begin = 0; begin < tokens.size();) {
        if (cancelled())
            return make_error(Code::cancelled, "cancelled", "the request was cancelled");
        if (tokens_.size() == engine_->context()) RZ_TRY(slide());
        const size_t count =
            std::min({most, tokens.size() - begin, engine_->context() - tokens_.size()});
        const bool last = begin + count == tokens.size();
        rows_.clear();
        for (size_t i = 0; i < count; ++i)
            rows_.push_back({tokens[begin + i], static_cast<uint32_t>(tokens_.size() + i),
                             sequence_, row || (last && i + 1 == count)});
        const size_t wanted = row ? count : size_t{last};
        std::vector<float> &out = row ? rows_logits_ : logits_;
        logits_.clear(); // of an earlier token from here on
        out.resize(wanted * vocabulary);
        if (auto status = engine_->run(rows_, out); !status.ok()) {
            logits_.clear(); // nobody has written them
            tokens_.resize(engine_->length(sequence_));
            return status;
        }
        tokens_.insert(tokens_.end(), tokens.begin() + static_cast<ptrdiff_t>(begin),
                       tokens.begin() + static_cast<ptrdiff_t>(begin + count));
        for (size_t i = 0; row && i < count; ++i)
            row(begin + i, std::span(out).subspan(i * vocabulary, vocabulary));
        if (row && last) logits_.assign(out.end() - static_cast<ptrdiff_t>(vocabulary), out.end());
        begin += count;
    }
    return {};
}

Result<size_t> Session::append_ahead(Token token, uint32_t candidates,
                                     std::span<const TokenDraw> draws, std::span<Token> chosen) {
    RZ_TRY(check_room(1));
    if (cancelled()) return make_error(Code::cancelled, "cancelled", "the request was cancelled");
    if (tokens_.size() == engine_->context()) RZ_TRY(slide());
    const size_t count = std::min(draws.size(), engine_->context() - tokens_.size());
    logits_.clear();
    if (auto status = engine_->run_ahead(sequence_, token, candidates, draws.first(count),
                                         chosen.first(count));
        !status.ok()) {
        tokens_.resize(engine_->length(sequence_));
        return std::move(status).error();
    }
    tokens_.push_back(token);
    tokens_.insert(tokens_.end(), chosen.begin(),
                   chosen.begin() + static_cast<ptrdiff_t>(count - 1));
    return count;
}

Status Session::assign(std::span<const Token> tokens) {
    const auto [mine, theirs] = std::ranges::mismatch(tokens_, tokens);
    const auto same = static_cast<size_t>(theirs - tokens.begin());
    if (same == tokens.size() && same == tokens_.size() && !logits_.empty()) return {};
    if (tokens.size() > engine_->context() && engine_->sinks() == 0)
        return make_error(Code::context_full, "context_full",
                          "the context holds %u tokens, the text has %zu (a larger context can be "
                          "set when the model is loaded)",
                          engine_->context(), tokens.size());
    // At least one token must run so that there are logits.
    cut(same == tokens.size() && same > 0 ? same - 1 : same);
    return append(tokens.subspan(tokens_.size()));
}

Status Session::restore(std::vector<Token> tokens, std::span<const float> logits, StreamPlace place,
                        std::span<const SequencePart> parts, std::span<const std::byte> data) {
    cut(0);
    const auto length = static_cast<uint32_t>(tokens.size());
    RZ_TRY(engine_->write_sequence(sequence_, length, parts, data, place));
    engine_->remember(sequence_, tokens);
    tokens_ = std::move(tokens);
    tokens_.reserve(engine_->context());
    logits_.assign(logits.begin(), logits.end());
    return {};
}

void Session::cut(size_t count) {
    if (count >= tokens_.size()) return;
    tokens_.resize(engine_->cut(sequence_, static_cast<uint32_t>(count)));
    logits_.clear();
}

} // namespace realizar
