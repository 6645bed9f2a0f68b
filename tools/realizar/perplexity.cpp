// realizar perplexity: how well a model predicts a text.
#include "core/engine/perplexity.h"
#include "tools/realizar/commands.h"
#include "tools/realizar/options.h"

#include <algorithm>
#include <cstdio>
#include <memory>

namespace realizar::cli {
namespace {

constexpr const char *kFooter =
    R"(The text is split at the separator; each document is the begin token, its tokens and the end
token. The stream of all documents is cut into chunks without overlap, each is evaluated from an
empty context, and the tokens from the second to the last of each chunk are scored.

Examples:
  realizar perplexity -m model.gguf --file text.txt --json
  realizar perplexity --file tales.txt --chunk 512 --chunks 32 --doc-separator "<|end|>")";

// Logits of a step that are held at once.
constexpr uint64_t kLogitBytes = 64u << 20;

struct CommandOptions : ModelOptions {
    PerplexityOptions perplexity;
    std::string file;
    bool json = false;
};

Status run(CommandOptions options) {
    RZ_ASSIGN(const std::string text, read_text(options.file));
    RZ_ASSIGN(const auto file, open_model(options.model));
    const GgufTensor *embedding = file->find_tensor("token_embd.weight");
    const uint64_t row =
        embedding ? static_cast<uint64_t>(embedding->dims.front()) * sizeof(float) : kLogitBytes;
    if (options.context == 0) options.context = options.perplexity.chunk;
    const auto rows = static_cast<uint32_t>(std::clamp<uint64_t>(kLogitBytes / row, 1, 65536));
    RZ_ASSIGN(const LoadedModel loaded, load_model(options, rows));
    RZ_ASSIGN(const auto session, Session::create(loaded.engine));
    Progress progress("perplexity");
    options.perplexity.progress = [&](uint32_t done, uint32_t total) {
        return progress.show(done, total);
    };
    RZ_ASSIGN(const Perplexity out, perplexity(*session, text, options.perplexity));
    progress.clear();
    if (options.json) {
        print_json({{"perplexity", out.value}, {"tokens", out.tokens}, {"chunks", out.chunks}});
        return {};
    }
    char line[120];
    std::snprintf(line, sizeof line, "perplexity %.4f over %llu tokens in %u chunks\n", out.value,
                  static_cast<unsigned long long>(out.tokens), out.chunks);
    print_text(line);
    return {};
}

} // namespace

void add_perplexity(CLI::App &app, Action &action) {
    CLI::App *command = app.add_subcommand("perplexity", "score a text with a model");
    command->footer(kFooter);
    auto options = std::make_shared<CommandOptions>();
    command->add_option("-f,--file", options->file, "the text; - for standard input")
        ->required()
        ->type_name("FILE");
    command->add_option("--chunk", options->perplexity.chunk, "tokens per chunk")
        ->check(CLI::Range(2u, 1u << 20))
        ->capture_default_str();
    command->add_option("--chunks", options->perplexity.chunks, "chunks at most (default: all)");
    command->add_option("--doc-separator", options->perplexity.separator,
                        "text between documents (default: one document)");
    command->add_flag("--json", options->json, "print JSON");
    add_engine_options(*command, *options);
    command->callback([=, &action] { action = [=] { return run(*options); }; });
}

} // namespace realizar::cli
