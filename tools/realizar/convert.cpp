// realizar convert: a Hugging Face model folder to GGUF.
#include "core/format/convert_hf.h"
#include "tools/realizar/commands.h"
#include "tools/realizar/interrupt.h"
#include "tools/realizar/writing.h"

#include <memory>

namespace realizar::cli {
namespace {

constexpr const char *kFooter =
    R"(HF_DIR holds config.json, *.safetensors and tokenizer.model of a model of the Llama family.

Examples:
  realizar convert ./TinyLlama-1.1B tinyllama-f16.gguf
  realizar convert ./TinyLlama-1.1B tinyllama-bf16.gguf --type bf16 --name TinyLlama)";

struct Options : BackendOptions {
    std::string in, out, type = "f16", name;
};

Status run(const Options &options) {
    RZ_TRY(check_output(options.in, options.out));
    ConvertOptions convert;
    convert.dtype = dtype_from_name(options.type); // none for "keep"
    convert.name = options.name;
    Progress progress("converting");
    convert.on_tensor = [&](std::string_view name, size_t index, size_t count) {
        if (options.verbose) print_note(printable(name));
        progress.show(index + 1, count);
    };
    convert.cancelled = Interrupt::requested;
    RZ_TRY(convert_hf(options.in, options.out, convert));
    progress.clear();
    RZ_ASSIGN(const auto file, GgufFile::open(options.out));
    print_note(options.out + ": " + std::to_string(file->tensors().size()) + " tensors, " +
               bytes_text(file->size()));
    return {};
}

} // namespace

void add_convert(CLI::App &app, Action &action) {
    CLI::App *command = app.add_subcommand("convert", "make a GGUF file of a Hugging Face folder");
    command->footer(kFooter);
    auto options = std::make_shared<Options>();
    command->add_option("HF_DIR", options->in, "folder")->required();
    command->add_option("OUT", options->out, "file to write")->required();
    command->add_option("--type", options->type, "of matrices; keep: as they are stored")
        ->check(CLI::IsMember({"f16", "f32", "bf16", "keep"}, CLI::ignore_case))
        ->capture_default_str();
    command->add_option("--name", options->name, "general.name (default: the folder's)");
    add_verbose_option(*command, *options);
    command->callback([=, &action] { action = [=] { return run(*options); }; });
}

} // namespace realizar::cli
