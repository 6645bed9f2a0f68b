// realizar logits: the model's raw output for given tokens.
#include "core/engine/session.h"
#include "tools/realizar/commands.h"
#include "tools/realizar/options.h"

#include <charconv>
#include <cmath>
#include <memory>

namespace realizar::cli {
namespace {

constexpr const char *kFooter =
    R"(Prints {"tokens": [...], "logits": [[one row per position], ...]}. Each row has a number per token
of the vocabulary; one that is not finite is null.

Examples:
  realizar logits -m model.gguf --tokens 1,2,3 --json
  realizar logits --tokens 1,302,7 --last --json)";

// Rows are held once before they are printed; a step gives no more than this.
constexpr uint32_t kLogitRows = 64;

struct LogitsOptions : ModelOptions {
    std::string tokens;
    bool last = false, json = false;
};

Result<std::vector<Token>> parse_tokens(const std::string &text) {
    std::vector<Token> tokens;
    const char *at = text.data(), *const end = at + text.size();
    for (;;) {
        Token token = 0;
        const auto [rest, error] = std::from_chars(at, end, token);
        const bool more = rest != end && *rest == ',';
        if (error != std::errc() || (!more && rest != end))
            return make_error(Code::invalid_argument, "bad_option",
                              "--tokens: expected token ids such as 1,302,7, found '%s'",
                              printable(text).c_str());
        tokens.push_back(token);
        if (!more) return tokens;
        at = rest + 1;
    }
}

// Shortest text that reads back as the same float.
void append_row(std::string &out, std::span<const float> row) {
    char separator = '[';
    for (const float value : row) {
        out += std::exchange(separator, ',');
        char number[32];
        const auto end = std::to_chars(number, number + sizeof number, value).ptr;
        std::isfinite(value) ? out.append(number, end) : out.append("null");
    }
    out += ']';
}

Status run(const LogitsOptions &options) {
    RZ_ASSIGN(const std::vector<Token> tokens, parse_tokens(options.tokens));
    RZ_ASSIGN(const LoadedModel loaded, load_model(options, options.last ? 1 : kLogitRows));
    RZ_ASSIGN(const auto session, Session::create(loaded.engine));
    std::string rows;
    if (options.last) {
        RZ_TRY(session->append(tokens));
        append_row(rows, session->logits());
    } else {
        RZ_TRY(session->append(tokens, [&](size_t index, std::span<const float> row) {
            if (index > 0) rows += ',';
            append_row(rows, row);
        }));
    }
    print_text("{\"tokens\":" + Json(tokens).dump() + ",\"logits\":[" + rows + "]}\n");
    return {};
}

} // namespace

void add_logits(CLI::App &app, Action &action) {
    CLI::App *command = app.add_subcommand("logits", "print the model's output for given tokens");
    command->footer(kFooter);
    auto options = std::make_shared<LogitsOptions>();
    command->add_option("--tokens", options->tokens, "token ids, with commas")
        ->required()
        ->type_name("ID,...");
    command->add_flag("--last", options->last, "only the row of the last token");
    command->add_flag("--json", options->json, "print JSON (the only form there is)");
    add_engine_options(*command, *options);
    command->callback([=, &action] { action = [=] { return run(*options); }; });
}

} // namespace realizar::cli
