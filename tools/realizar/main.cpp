// The program `realizar`: language models from the command line. See docs/cli.md.
#include "tools/realizar/commands.h"
#include "tools/realizar/console.h"
#include "tools/realizar/help.h"
#include "tools/realizar/interrupt.h"

#include <array>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace realizar::cli {
namespace {

struct Alias {
    std::string_view short_form, name;
};
// Short options of two and three letters, as users of other programs know them.
constexpr std::array kAliases = {Alias{"-ub", "--ubatch-size"}, Alias{"-ctk", "--cache-type-k"},
                                 Alias{"-ctv", "--cache-type-v"}};

struct Hint {
    std::string_view option, text;
};
// Options of other programs that have no meaning here.
constexpr std::array kHints = {
    Hint{"-ngl", "where a model runs is chosen with --backend and --device"},
    Hint{"--n-gpu-layers", "where a model runs is chosen with --backend and --device"},
    Hint{"--gpu-layers", "where a model runs is chosen with --backend and --device"},
    Hint{"--mlock", "models are always mapped, and stay in memory as far as it reaches"},
    Hint{"--no-mmap", "models are always mapped"},
    Hint{"--color", "the answer is printed as it is"},
    Hint{"-fa", "attention is always computed without storing its matrix"},
    Hint{"--flash-attn", "attention is always computed without storing its matrix"},
};

constexpr const char *kFooter = R"(Examples:
  realizar run "Once upon a time"            the built-in model goes on with a story
  realizar run -m model.gguf -p "Hello" -n 64
  realizar plugins                           which backends work on this machine
  realizar info model.gguf                   what is in a model file

Each command has its own help: realizar run --help

Exit codes: 0 success, 1 internal error, 2 wrong usage, 3 file or format, 4 device, plugin
or memory, 5 the text does not fit the context, 6 'bench compare' found something slower,
130 cancelled)";

// CLI11 takes options of one dash and several letters for a group of flags.
std::vector<std::string> arguments(int argc, char **argv) {
    std::vector<std::string> list(argv + std::min(argc, 1), argv + argc);
    for (std::string &argument : list) {
        if (argument == "--") break;
        for (const Alias &alias : kAliases)
            if (argument == alias.short_form) argument = alias.name;
    }
    return list;
}

int usage_error(const CLI::App &app, const CLI::ParseError &error,
                const std::vector<std::string> &given) {
    const auto chosen = app.get_subcommands();
    std::string message = error.what();
    if (chosen.empty() && !given.empty() && !given.front().starts_with('-'))
        message = "expected a command, found '" + printable(given.front()) + "'";
    std::fprintf(stderr, "realizar: error: %s [usage]\n", message.c_str());
    for (const std::string &argument : given)
        for (const Hint &hint : kHints)
            if (argument == hint.option)
                std::fprintf(stderr, "  %s: %s\n", argument.c_str(),
                             std::string(hint.text).c_str());
    std::fprintf(stderr, "See 'realizar %s--help'.\n",
                 chosen.empty() ? "" : (chosen.front()->get_name() + " ").c_str());
    return kExitUsage;
}

int run(int argc, char **argv) {
    CLI::App app("realizar runs language models (GGUF) on whatever compute a machine has.",
                 "realizar");
    app.set_version_flag("--version", std::string("realizar ") + REALIZAR_VERSION);
    app.require_subcommand(1);
    app.formatter(std::make_shared<HelpFormatter>());
    app.footer(kFooter);
    Action action;
    for (const auto add : {add_run, add_plugins, add_info, add_tokenize, add_logits, add_perplexity,
                           add_quantize, add_imatrix, add_convert, add_split, add_bench, add_plan})
        add(app, action);

    const std::vector<std::string> given = arguments(argc, argv);
    try {
        app.parse(std::vector<std::string>(given.rbegin(), given.rend())); // taken from the back
    } catch (const CLI::Success &success) {
        return app.exit(success);
    } catch (const CLI::ParseError &error) {
        return usage_error(app, error, given);
    }
    const Interrupt interrupt;
    Status status = action();
    if (status.ok()) status = finish_output();
    if (status.ok()) return kExitOk;
    print_error(status.error());
    return exit_code(status.error());
}

} // namespace
} // namespace realizar::cli

int main(int argc, char **argv) {
    try {
        return realizar::cli::run(argc, argv);
    } catch (const std::bad_alloc &) {
        std::fputs("realizar: error: out of memory [out_of_memory]\n", stderr);
        return realizar::cli::kExitDevice;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "realizar: error: %s [internal]\n", error.what());
        return realizar::cli::kExitInternal;
    }
}
