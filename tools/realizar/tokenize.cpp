// realizar tokenize: text to token ids.
#include "tools/realizar/commands.h"
#include "tools/realizar/options.h"

#include <memory>

namespace realizar::cli {
namespace {

constexpr const char *kFooter =
    R"(Only the vocabulary of the model is used. Without TEXT and --file, standard input is read.

Examples:
  realizar tokenize -m model.gguf "Once upon a time"
  realizar tokenize --json --file text.txt
  realizar tokenize --json --no-bos "no special tokens")";

struct TokenizeOptions {
    std::string model, text, file;
    bool json = false, no_special = false, no_parse_special = false;
};

Result<std::string> input(const CLI::App &command, const TokenizeOptions &options) {
    if (command.count("TEXT")) return options.text;
    return read_text(command.count("--file") ? options.file : "-");
}

Status run(const CLI::App &command, const TokenizeOptions &options) {
    RZ_ASSIGN(const auto file, open_model(options.model));
    RZ_ASSIGN(Vocabulary vocabulary, vocabulary_from_gguf(*file));
    RZ_ASSIGN(const auto tokenizer, Tokenizer::create(std::move(vocabulary)));
    RZ_ASSIGN(const std::string text, input(command, options));
    const EncodeOptions encode{!options.no_special,
                               !options.no_special && !options.no_parse_special};
    RZ_ASSIGN(const std::vector<Token> tokens, tokenizer->encode(text, encode));
    if (options.json) {
        print_json({{"tokens", tokens}});
        return {};
    }
    for (const Token token : tokens) {
        const Json piece = tokenizer->piece(token, true);
        print_text(std::to_string(token) + "\t" +
                   piece.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
    }
    return {};
}

} // namespace

void add_tokenize(CLI::App &app, Action &action) {
    CLI::App *command = app.add_subcommand("tokenize", "turn text into token ids");
    command->footer(kFooter);
    auto options = std::make_shared<TokenizeOptions>();
    add_model_option(*command, options->model);
    auto *file = command->add_option("-f,--file", options->file, "read the text from a file");
    file->type_name("FILE");
    command->add_option("TEXT", options->text, "the text")->excludes(file);
    command->add_flag("--no-bos", options->no_special,
                      "add no special tokens, and take those written in the text for text");
    command->add_flag("--no-parse-special", options->no_parse_special,
                      "take special tokens written in the text for text");
    command->add_flag("--json", options->json, "print {\"tokens\": [...]}");
    command->callback([=, &action] { action = [=] { return run(*command, *options); }; });
}

} // namespace realizar::cli
