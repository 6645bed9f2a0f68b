// realizar run: a prompt goes in, text comes out.
#include "tools/realizar/commands.h"
#include "tools/realizar/conversation.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>

#include <unistd.h>

namespace realizar::cli {
namespace {

constexpr const char *kFooter =
    R"(Without a prompt: interactive on a terminal, else the prompt is standard input.

Examples:
  realizar run "Once upon a time"
  realizar run -m model.gguf -p "The sea" -n 100 --temp 0
  realizar run -m model.gguf -f prompt.txt --format json --seed 7
  echo "There was once" | realizar run --stop "." --format stream
  realizar run --session story.rzs "Once upon a time"; realizar run --session story.rzs " And then"
  realizar run -m model.gguf -ctk q8_0 -ctv q8_0 -c 16384 --verbose)";

struct Prompts {
    std::string option, argument, file;
};

void add_prompt_options(CLI::App &command, Prompts &prompts, RunOptions &options) {
    auto *option = command.add_option("-p,--prompt", prompts.option, "the same");
    auto *argument = command.add_option("PROMPT", prompts.argument, "text to continue");
    auto *file = command.add_option("-f,--file", prompts.file, "read the prompt from a file")
                     ->type_name("FILE");
    option->excludes(argument)->excludes(file);
    argument->excludes(file);
    command.add_option("--system", options.system, "text that comes before the prompt");
    command.add_flag("-i,--interactive", options.interactive, "go on reading lines");
    command.add_flag("--no-bos", options.no_bos, "do not put the begin token first");
    command.add_flag("--echo", options.echo, "print the prompt before the answer");
}

void add_answer_options(CLI::App &command, RunOptions &options) {
    command.add_option("-n,--predict", options.predict, "new tokens at most; -1: until the end")
        ->check(CLI::Range(-1, 1 << 30))
        ->capture_default_str();
    command
        .add_option("--stop", options.generate.stop,
                    "end before this text appears in the answer (repeatable)")
        ->type_name("TEXT")
        ->allow_extra_args(false);
    command.add_flag("--ignore-eos", options.generate.ignore_end, "go on after end tokens");
    command
        .add_option("--context-policy", options.context_policy,
                    "when the context is full: stop; slide: forget the older half; stream: forget "
                    "the oldest 64 tokens, again and again")
        ->check(CLI::IsMember({"stop", "slide", "stream"}))
        ->capture_default_str();
    command
        .add_option("--keep", options.generate.keep,
                    "first tokens that slide and stream never forget")
        ->capture_default_str();
    command
        .add_option("--session", options.session,
                    "go on with the text in this file, if it exists, and keep the result there")
        ->type_name("FILE");
    command.add_option("--format", options.format, "text, json, or stream: a JSON line per token")
        ->check(CLI::IsMember({"text", "json", "stream"}))
        ->capture_default_str();
}

void add_sampling_options(CLI::App &command, RunOptions &options) {
    SamplerParams &params = options.generate.sampling;
    const auto number = [&](const char *name, auto &value, const char *text) {
        command.add_option(name, value, text)->capture_default_str()->group("Sampling");
    };
    number("--temp", params.temperature, "temperature; 0: always the likeliest token");
    number("--top-k", params.top_k, "choose among the K likeliest tokens; 0: all");
    number("--top-p", params.top_p, "choose among tokens of this total probability");
    number("--min-p", params.min_p, "... of at least this part of the likeliest one's");
    number("--repeat-penalty", params.repeat_penalty, "above 1 disfavours recent tokens");
    number("--repeat-last-n", params.repeat_last_n, "how many tokens penalties look at; -1: all");
    number("--presence-penalty", params.presence_penalty, "off the logit of recent tokens");
    number("--frequency-penalty", params.frequency_penalty, "the same, per occurrence");
    command
        .add_option("--logit-bias", options.logit_bias,
                    "add to the logit of a token id; -inf forbids it (repeatable)")
        ->type_name("TOKEN=BIAS")
        ->allow_extra_args(false)
        ->group("Sampling");
    command
        .add_option("--tokens-per-submission", options.generate.tokens_per_submission,
                    "that the device chooses and evaluates at a time; 0: the host chooses each; "
                    "default: 1 on a GPU, else 0")
        ->type_name("N")
        ->check(CLI::Range(0, 64))
        ->group("Sampling");
    command.add_option("-s,--seed", options.seed, "of the random choice; -1: another each time")
        ->capture_default_str()
        ->group("Sampling");
}

Result<LogitBias> parse_bias(const std::string &text) {
    LogitBias out{};
    const char *end = text.data() + text.size();
    const auto token = std::from_chars(text.data(), end, out.token);
    if (token.ec == std::errc() && token.ptr != end && *token.ptr == '=') {
        const char *bias = token.ptr + 1;
        if (bias != end && *bias == '+') ++bias;
        const auto value = std::from_chars(bias, end, out.bias);
        if (value.ec == std::errc() && value.ptr == end) return out;
    }
    return make_error(Code::invalid_argument, "bad_option",
                      "--logit-bias: expected TOKEN=BIAS such as 13=-1.5, found '%s'",
                      printable(text).c_str());
}

Result<std::optional<std::string>> read_prompt(const CLI::App &command, const Prompts &prompts,
                                               bool interactive) {
    if (command.count("--prompt")) return std::optional(prompts.option);
    if (command.count("PROMPT")) return std::optional(prompts.argument);
    std::string text;
    if (command.count("--file")) {
        RZ_ASSIGN(text, read_text(prompts.file));
    } else if (interactive || ::isatty(STDIN_FILENO) == 1) {
        return std::optional<std::string>();
    } else {
        RZ_ASSIGN(text, read_text("-"));
    }
    // Editors and echo end the last line; the model should go on with it.
    if (text.ends_with('\n')) text.pop_back();
    return std::optional(std::move(text));
}

Status run(const CLI::App &command, const Prompts &prompts, RunOptions options) {
    for (const std::string &text : options.logit_bias) {
        RZ_ASSIGN(const LogitBias bias, parse_bias(text));
        options.generate.sampling.logit_bias.push_back(bias);
    }
    options.generate.max_tokens =
        options.predict < 0 ? UINT32_MAX : static_cast<uint32_t>(options.predict);
    options.generate.context_policy =
        options.context_policy == "slide" ? ContextPolicy::slide : ContextPolicy::stop;
    if (options.context_policy == "stream") options.sinks = std::max(options.generate.keep, 1u);
    options.generate.sampling.seed =
        options.seed < 0 ? random_seed() : static_cast<uint64_t>(options.seed);
    RZ_ASSIGN(const auto prompt, read_prompt(command, prompts, options.interactive));
    options.interactive |= !prompt.has_value();
    if (options.interactive && options.format != "text")
        return make_error(Code::invalid_argument, "bad_option",
                          "--format %s: expected a prompt (interactive answers are text)",
                          options.format.c_str());
    if (options.verbose) print_note("seed " + std::to_string(options.generate.sampling.seed));
    RZ_ASSIGN(const LoadedModel loaded, load_model(options));
    return options.interactive ? converse(loaded, options, prompt)
                               : answer(loaded, options, *prompt);
}

} // namespace

void add_run(CLI::App &app, Action &action) {
    CLI::App *command = app.add_subcommand("run", "continue a prompt");
    command->footer(kFooter);
    auto options = std::make_shared<RunOptions>();
    auto prompts = std::make_shared<Prompts>();
    options->generate.keep = 1;
    add_prompt_options(*command, *prompts, *options);
    add_answer_options(*command, *options);
    add_sampling_options(*command, *options);
    add_engine_options(*command, *options);
    command->callback([=, &action] { action = [=] { return run(*command, *prompts, *options); }; });
}

} // namespace realizar::cli
