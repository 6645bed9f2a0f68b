// realizar imatrix: which columns of the weights matter, from text that the model reads.
#include "core/engine/importance_collector.h"
#include "core/engine/perplexity.h"
#include "tools/realizar/commands.h"
#include "tools/realizar/options.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

namespace realizar::cli {
namespace {

constexpr const char *kFooter =
    R"(The model reads the text in chunks, as in 'realizar perplexity', and the mean squares of what each
weight is multiplied with are written to the file. 'realizar quantize --imatrix' then rounds so that
errors fall where they matter least. Use the model in F16 or Q8_0, and a text like those that it is
for: some hundred chunks are enough.

Examples:
  realizar imatrix -m model-f16.gguf --file text.txt --chunks 200 model.imatrix
  realizar quantize model-f16.gguf model-q3.gguf Q3_K_M --imatrix model.imatrix)";

// Inputs of all products of a step are held at once.
constexpr uint32_t kRows = 64;

struct CommandOptions : ModelOptions {
    PerplexityOptions perplexity;
    std::string file, out;
};

Status run(CommandOptions options) {
    RZ_ASSIGN(const std::string text, read_text(options.file));
    const auto collector = std::make_shared<ImportanceCollector>();
    options.observer = collector;
    if (options.context == 0) options.context = options.perplexity.chunk;
    if (!options.batch && !options.ubatch) options.batch = kRows;
    RZ_ASSIGN(const LoadedModel loaded, load_model(options, 65536));
    RZ_ASSIGN(const auto session, Session::create(loaded.engine));
    Progress progress("imatrix");
    options.perplexity.progress = [&](uint32_t done, uint32_t total) {
        return progress.show(done, total);
    };
    RZ_ASSIGN(const Perplexity out, perplexity(*session, text, options.perplexity));
    progress.clear();
    const ImportanceMatrix &matrix = collector->matrix();
    RZ_TRY(matrix.save(options.out, {std::filesystem::path(options.file).filename().string(),
                                     out.chunks, options.perplexity.chunk}));
    char line[160];
    std::snprintf(line, sizeof line,
                  ": %zu weights over %u chunks of %u tokens, perplexity of the text %.4f",
                  matrix.size(), out.chunks, options.perplexity.chunk, out.value);
    print_note(options.out + line);
    return {};
}

} // namespace

void add_imatrix(CLI::App &app, Action &action) {
    CLI::App *command = app.add_subcommand("imatrix", "measure which weights matter, for quantize");
    command->footer(kFooter);
    auto options = std::make_shared<CommandOptions>();
    command->add_option("OUT", options->out, "importance matrix to write")->required();
    command->add_option("-f,--file", options->file, "the text; - for standard input")
        ->required()
        ->type_name("FILE");
    command->add_option("--chunk", options->perplexity.chunk, "tokens per chunk")
        ->check(CLI::Range(2u, 1u << 20))
        ->capture_default_str();
    command->add_option("--chunks", options->perplexity.chunks, "chunks at most (default: all)");
    command->add_option("--doc-separator", options->perplexity.separator,
                        "text between documents (default: one document)");
    add_engine_options(*command, *options);
    command->callback([=, &action] { action = [=] { return run(*options); }; });
}

} // namespace realizar::cli
