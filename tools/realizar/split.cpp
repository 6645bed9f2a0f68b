// realizar split: a model file in several parts.
#include "core/format/rewrite.h"
#include "tools/realizar/commands.h"
#include "tools/realizar/interrupt.h"
#include "tools/realizar/options.h"

#include <memory>

namespace realizar::cli {
namespace {

constexpr const char *kFooter =
    R"(The parts are PREFIX-00001-of-0000N.gguf; every command takes the first
one as the model. "realizar convert" joins them again.

Examples:
  realizar split model.gguf parts/model --max-size 2G
  realizar split model.gguf parts/model --max-tensors 128)";

struct Options {
    std::string in, prefix;
    SplitLimits limits;
};

Status run(const Options &options) {
    RZ_ASSIGN(const auto file, GgufFile::open(options.in));
    Progress progress("splitting");
    RewriteOptions rewrite;
    rewrite.on_tensor = [&](size_t index, size_t count) { progress.show(index + 1, count); };
    rewrite.cancelled = Interrupt::requested;
    RZ_ASSIGN(const uint32_t parts, split_gguf(*file, options.prefix, options.limits, rewrite));
    progress.clear();
    print_note(options.prefix + ": " + std::to_string(parts) + (parts == 1 ? " part" : " parts"));
    return {};
}

} // namespace

void add_split(CLI::App &app, Action &action) {
    CLI::App *command = app.add_subcommand("split", "write a model file in several parts");
    command->footer(kFooter);
    auto options = std::make_shared<Options>();
    command->add_option("IN", options->in, "model file")->required();
    command->add_option("PREFIX", options->prefix, "what the names of the parts begin with")
        ->required();
    auto *size = command->add_option("--max-size", options->limits.bytes,
                                     "tensor data per part, such as 500M or 2G");
    size->transform(CLI::AsSizeValue(true))->type_name("SIZE");
    auto *tensors =
        command->add_option("--max-tensors", options->limits.tensors, "tensors per part");
    tensors->check(CLI::Range(1u, 1u << 20));
    command->callback([=, &action] { action = [=] { return run(*options); }; });
}

} // namespace realizar::cli
