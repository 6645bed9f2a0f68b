#include "tools/realizar/conversation.h"

#include "core/engine/session_file.h"
#include "tools/realizar/interrupt.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>

#include <unistd.h>

namespace realizar::cli {
namespace {

double per_second(uint32_t count, double seconds) { return seconds > 0 ? count / seconds : 0; }

double prompt_speed(const Generation &out) {
    return per_second(out.prompt_tokens - out.cached_tokens, out.prompt_seconds);
}

Json timings_json(const LoadedModel &loaded, const Generation &out) {
    return {{"load_ms", loaded.load_ms},
            {"prompt_tok_s", prompt_speed(out)},
            {"decode_tok_s", per_second(out.decode_steps, out.decode_seconds)}};
}

void print_timings(const LoadedModel *loaded, const Generation &out) {
    char text[200];
    std::snprintf(text, sizeof text, "prompt %u tokens, %.1f tok/s; answer %zu tokens, %.1f tok/s",
                  out.prompt_tokens - out.cached_tokens, prompt_speed(out), out.tokens.size(),
                  per_second(out.decode_steps, out.decode_seconds));
    char load[40] = "";
    if (loaded) std::snprintf(load, sizeof load, "load %.0f ms; ", loaded->load_ms);
    print_note(std::string(load) + text);
}

// The session of a run, cancelled by Ctrl-C while this lives; with --session, what its file holds.
class WatchedSession {
  public:
    static Result<WatchedSession> create(const LoadedModel &loaded, const RunOptions &options) {
        RZ_ASSIGN(auto session, Session::create(loaded.engine));
        std::error_code ignored;
        if (!options.session.empty() && std::filesystem::exists(options.session, ignored))
            RZ_TRY(restore_session(*session, options.session));
        Interrupt::watch(session.get());
        return WatchedSession(std::move(session));
    }
    ~WatchedSession() {
        if (session_) Interrupt::watch(static_cast<Session *>(nullptr));
    }
    WatchedSession(WatchedSession &&) = default;
    WatchedSession &operator=(WatchedSession &&) = delete;
    Session &operator*() const { return *session_; }

  private:
    explicit WatchedSession(std::unique_ptr<Session> session) : session_(std::move(session)) {}
    std::unique_ptr<Session> session_;
};

// All that the session has of what was said, and the last token of the answer if that has not been
// evaluated yet.
std::vector<Token> text_so_far(const Session &session, const Generation &out) {
    std::vector<Token> text(session.tokens().begin(), session.tokens().end());
    text.insert(text.end(), out.tokens.begin() + out.decode_steps, out.tokens.end());
    return text;
}

// Keeps `text`, all that was said, in the file of --session.
Status keep_session(Session &session, const RunOptions &options, std::span<const Token> text) {
    if (options.session.empty()) return {};
    session.clear_cancel();
    const bool fits = text.size() <= session.engine().context() || session.engine().sinks() > 0;
    if (fits && std::ranges::equal(session.tokens(),
                                   text.first(std::min(session.tokens().size(), text.size()))))
        RZ_TRY(session.assign(text));
    return save_session(session, options.session);
}

bool print_stream_piece(const GeneratedPiece &piece) {
    Json line = {{"text", piece.text}, {"token", nullptr}};
    if (piece.token) line["token"] = *piece.token;
    print_json(line);
    return !Interrupt::requested();
}

bool print_text_piece(const GeneratedPiece &piece) {
    print_text(piece.text);
    return !Interrupt::requested();
}

Status cancelled() { return make_error(Code::cancelled, "cancelled", "the answer was cancelled"); }

// One line of standard input without its end; nothing at the end of the input.
enum class LineEnd { line, input, interrupt };
LineEnd read_line(std::string &line) {
    char *buffer = nullptr;
    size_t capacity = 0;
    errno = 0;
    const ssize_t size = ::getline(&buffer, &capacity, stdin);
    const std::unique_ptr<char, void (*)(void *)> owner(buffer, std::free);
    if (size < 0) {
        if (!Interrupt::requested()) return LineEnd::input;
        std::clearerr(stdin);
        return LineEnd::interrupt;
    }
    line.assign(buffer, static_cast<size_t>(size));
    if (line.ends_with('\n')) line.pop_back();
    return LineEnd::line;
}

// Turns of an interactive run.
class Conversation {
  public:
    Conversation(Session &session, const RunOptions &options)
        : session_(session), options_(options), terminal_(::isatty(STDIN_FILENO) == 1),
          history_(session.tokens().begin(), session.tokens().end()) {}

    Status run(const std::optional<std::string> &first);

  private:
    Status turn(const std::string &line);
    Result<std::vector<Token>> tokens_of(const std::string &line, bool first) const;

    Session &session_;
    const RunOptions &options_;
    bool terminal_;
    std::vector<Token> history_; // all that was said so far
};

Result<std::vector<Token>> Conversation::tokens_of(const std::string &line, bool first) const {
    std::string text = line;
    if (first && !options_.system.empty()) text = options_.system + "\n" + line;
    return prompt_tokens(*session_.engine().tokenizer(), first ? text : "\n" + text,
                         first && !options_.no_bos);
}

Status Conversation::turn(const std::string &line) {
    RZ_ASSIGN(const std::vector<Token> added, tokens_of(line, history_.empty()));
    history_.insert(history_.end(), added.begin(), added.end());
    if (history_.size() > session_.engine().context() && session_.engine().sinks() == 0) {
        print_note("the context is full: what was said before is forgotten");
        RZ_ASSIGN(history_, tokens_of(line, true));
    }
    auto out = generate(session_, history_, options_.generate, print_text_piece);
    if (!out.ok()) {
        history_.clear();
        return std::move(out).error();
    }
    print_text("\n");
    if (options_.verbose) print_timings(nullptr, *out);
    history_ = text_so_far(session_, *out);
    return keep_session(session_, options_, history_);
}

Status Conversation::run(const std::optional<std::string> &first) {
    if (terminal_)
        print_note("the model goes on with what you type; chat templates are not applied. Ctrl-C "
                   "ends an answer, Ctrl-D the program.");
    std::string line = first.value_or("");
    for (bool given = first.has_value();; given = false) {
        if (!given) {
            if (terminal_) print_text("> ");
            const LineEnd end = read_line(line);
            if (end == LineEnd::input) break;
            if (end == LineEnd::interrupt) {
                Interrupt::clear();
                print_text("\n");
                print_note("Ctrl-D ends the program");
                continue;
            }
        }
        if (line.empty()) continue;
        // One answer that fails (the line does not fit, say) does not end the conversation.
        if (auto status = turn(line); !status.ok()) {
            if (!terminal_) return status;
            print_error(status.error());
        }
        Interrupt::clear();
    }
    if (terminal_) print_text("\n");
    return {};
}

} // namespace

uint64_t random_seed() { return std::random_device{}(); }

Status answer(const LoadedModel &loaded, const RunOptions &options, const std::string &prompt) {
    const bool json = options.format == "json", stream = options.format == "stream";
    const std::string text = options.system.empty() ? prompt : options.system + "\n" + prompt;
    RZ_ASSIGN(const auto session, WatchedSession::create(loaded, options));
    std::vector<Token> tokens((*session).tokens().begin(), (*session).tokens().end());
    RZ_ASSIGN(const auto added,
              prompt_tokens(*loaded.engine->tokenizer(), text, !options.no_bos && tokens.empty()));
    tokens.insert(tokens.end(), added.begin(), added.end());
    if (options.echo && !json && !stream) print_text(prompt);
    PieceCallback on_piece = [](const GeneratedPiece &) { return !Interrupt::requested(); };
    if (!json) on_piece = stream ? print_stream_piece : print_text_piece;
    RZ_ASSIGN(const Generation out, generate(*session, tokens, options.generate, on_piece));
    RZ_TRY(keep_session(*session, options, text_so_far(*session, out)));

    const char *reason = finish_reason_name(out.finish_reason);
    const Json placement = placement_json(loaded.engine->runner());
    if (json) {
        print_json({{"text", out.text},
                    {"tokens", out.tokens},
                    {"finish_reason", reason},
                    {"timings", timings_json(loaded, out)},
                    {"placement", placement}});
    } else if (stream) {
        print_json({{"finish_reason", reason},
                    {"timings", timings_json(loaded, out)},
                    {"placement", placement}});
    } else if (!out.text.ends_with('\n')) {
        print_text("\n");
    }
    if (options.verbose || (!json && !stream)) print_timings(&loaded, out);
    return out.finish_reason == FinishReason::cancelled ? cancelled() : Status{};
}

Status converse(const LoadedModel &loaded, const RunOptions &options,
                const std::optional<std::string> &first) {
    RZ_ASSIGN(const auto session, WatchedSession::create(loaded, options));
    return Conversation(*session, options).run(first);
}

} // namespace realizar::cli
