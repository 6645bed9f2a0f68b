// realizar quantize: a model file with other element types.
#include "tools/realizar/commands.h"
#include "tools/realizar/interrupt.h"
#include "tools/realizar/writing.h"

#include <algorithm>
#include <cstdio>
#include <memory>

namespace realizar::cli {
namespace {

constexpr const char *kFooter = R"(Examples:
  realizar quantize model-f16.gguf model-q8_0.gguf Q8_0
  realizar quantize model-f16.gguf model-q4_k_m.gguf Q4_K_M --verbose
  realizar quantize model-f16.gguf model-q3.gguf Q3_K_M --imatrix model.imatrix \
    --tensor-type token_embd=Q8_0 --tensor-type 'blk.0.*=Q6_K')";

struct Options : BackendOptions {
    std::string in, out, type, importance;
    std::vector<std::string> tensor_types;
};

std::string target_names() {
    std::string names;
    for (const QuantizeTarget &target : quantize_targets())
        names += (names.empty() ? "" : ", ") + std::string(target.name);
    return names;
}

void print_tensor(const QuantizedTensor &tensor) {
    std::string line = printable(tensor.name) + ": " + dtype_info(tensor.from).name + " -> " +
                       dtype_info(tensor.to).name + ", " + bytes_text(tensor.bytes);
    if (tensor.importance && tensor.to != tensor.from) line += ", with importance";
    if (tensor.to != tensor.wanted)
        line += std::string(" (its rows do not fit the blocks of ") +
                dtype_info(tensor.wanted).name + ")";
    print_note(line);
}

Status run(const Options &options) {
    const QuantizeTarget *target = find_quantize_target(options.type);
    if (!target)
        return make_error(Code::invalid_argument, "bad_option",
                          "type: expected one of %s, found '%s'", target_names().c_str(),
                          printable(options.type).c_str());
    RZ_TRY(check_output(options.in, options.out));
    QuantizeOptions quantize;
    for (const std::string &text : options.tensor_types) {
        RZ_ASSIGN(TypeOverride override, parse_type_override(text));
        quantize.overrides.push_back(std::move(override));
    }
    std::optional<ImportanceMatrix> importance;
    if (!options.importance.empty()) {
        RZ_ASSIGN(importance, ImportanceMatrix::load(options.importance));
        quantize.importance = &*importance;
    }
    RZ_ASSIGN(const auto file, GgufFile::open(options.in));
    for (const TypeOverride &override : quantize.overrides)
        if (std::ranges::none_of(file->tensors(), [&](const GgufTensor &tensor) {
                return applies(override, tensor);
            }))
            print_note("warning: --tensor-type " + printable(override.pattern) +
                       " names no matrix of this model");
    RZ_ASSIGN(const auto backends, open_backends(options));

    Progress progress("quantizing");
    uint64_t bytes = 0;
    size_t steered = 0;
    quantize.parallel_for = lent_threads(*backends);
    quantize.on_tensor = [&](const QuantizedTensor &tensor) {
        bytes += tensor.bytes;
        steered += tensor.importance;
        if (options.verbose) print_tensor(tensor);
        progress.show(tensor.index + 1, tensor.count);
    };
    quantize.cancelled = Interrupt::requested;
    RZ_TRY(quantize_model(*file, options.out, *target, quantize));
    progress.clear();
    if (importance && steered == 0)
        print_note("warning: " + options.importance + " has no tensor of this model");
    print_note(options.out + ": " + target->name + ", tensors " + bytes_text(bytes) + " (was " +
               bytes_text(file->size()) + ")");
    return {};
}

} // namespace

void add_quantize(CLI::App &app, Action &action) {
    CLI::App *command = app.add_subcommand("quantize", "write a model with other element types");
    command->footer(kFooter);
    auto options = std::make_shared<Options>();
    command->add_option("IN", options->in, "GGUF file")->required();
    command->add_option("OUT", options->out, "file to write")->required();
    command->add_option("TYPE", options->type, "one of " + target_names())->required();
    command->add_option("--imatrix", options->importance,
                        "importance matrix (see 'realizar imatrix') that steers the rounding");
    command
        ->add_option(
            "--tensor-type", options->tensor_types,
            "type for the tensors whose names hold PATTERN ('*' and '?' are wildcards); may "
            "be repeated, the first that matches counts")
        ->type_name("PATTERN=TYPE")
        ->allow_extra_args(false);
    add_threads_option(*command, *options);
    add_plugin_path_option(*command, *options);
    add_verbose_option(*command, *options);
    command->callback([=, &action] { action = [=] { return run(*options); }; });
}

} // namespace realizar::cli
