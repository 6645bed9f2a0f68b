// realizar convert: a Hugging Face model folder to GGUF, and model files from one format to another.
#include "core/format/apr_model.h"
#include "core/format/convert_hf.h"
#include "core/format/rewrite.h"
#include "tools/realizar/commands.h"
#include "tools/realizar/interrupt.h"
#include "tools/realizar/writing.h"

#include <memory>

namespace realizar::cli {
namespace {

constexpr const char *kFooter =
    R"(IN is a folder with config.json, *.safetensors and a tokenizer (tokenizer.model or
tokenizer.json), or a model file: GGUF, the first part of one in several files, or APR. The output is
APR if its name ends with .apr, else GGUF; weights of files are kept bit by bit.

Examples:
  realizar convert ./TinyLlama-1.1B tinyllama-f16.gguf
  realizar convert ./TinyLlama-1.1B tinyllama-bf16.gguf --type bf16 --name TinyLlama
  realizar convert model.gguf model.apr
  realizar convert model-00001-of-00003.gguf model.gguf)";

struct Options : BackendOptions {
    std::string in, out, type = "f16", name;
};

bool is_apr_name(const std::filesystem::path &path) { return path.extension() == ".apr"; }

Status convert_folder(const Options &options, Progress &progress) {
    if (is_apr_name(options.out))
        return make_error(
            Code::invalid_argument, "bad_option",
            "output: expected a GGUF file for a folder (which convert then turns into "
            "APR), found '%s'",
            printable(options.out, 200).c_str());
    ConvertOptions convert;
    convert.dtype = dtype_from_name(options.type); // none for "keep"
    convert.name = options.name;
    convert.on_tensor = [&](std::string_view name, size_t index, size_t count) {
        if (options.verbose) print_note(printable(name));
        progress.show(index + 1, count);
    };
    convert.cancelled = Interrupt::requested;
    return convert_hf(options.in, options.out, convert);
}

Status convert_file(const Options &options, Progress &progress) {
    RZ_ASSIGN(const auto file, GgufFile::open(options.in));
    RewriteOptions rewrite;
    rewrite.on_tensor = [&](size_t index, size_t count) {
        if (options.verbose) print_note(printable(file->tensors()[index].name));
        progress.show(index + 1, count);
    };
    rewrite.cancelled = Interrupt::requested;
    return is_apr_name(options.out) ? write_apr(*file, options.out, rewrite)
                                    : write_gguf(*file, options.out, rewrite);
}

Status run(const CLI::App &command, const Options &options) {
    RZ_TRY(check_output(options.in, options.out));
    std::error_code ignored;
    const bool is_folder = std::filesystem::is_directory(options.in, ignored);
    if (!is_folder && (command.count("--type") || command.count("--name")))
        return make_error(Code::invalid_argument, "bad_option",
                          "--type, --name: expected with a folder only (quantize changes the types "
                          "of a file)");
    Progress progress("converting");
    RZ_TRY(is_folder ? convert_folder(options, progress) : convert_file(options, progress));
    progress.clear();
    RZ_ASSIGN(const auto file, GgufFile::open(options.out));
    print_note(options.out + ": " + std::to_string(file->tensors().size()) + " tensors, " +
               bytes_text(file->size()));
    return {};
}

} // namespace

void add_convert(CLI::App &app, Action &action) {
    CLI::App *command = app.add_subcommand(
        "convert", "make a GGUF or APR file of a Hugging Face folder or a model file");
    command->footer(kFooter);
    auto options = std::make_shared<Options>();
    command->add_option("IN", options->in, "folder or model file")->required();
    command->add_option("OUT", options->out, "file to write")->required();
    command->add_option("--type", options->type, "of a folder's matrices; keep: as they are stored")
        ->check(CLI::IsMember({"f16", "f32", "bf16", "keep"}, CLI::ignore_case))
        ->capture_default_str();
    command->add_option("--name", options->name, "general.name (default: the folder's)");
    add_verbose_option(*command, *options);
    command->callback([=, &action] { action = [=] { return run(*command, *options); }; });
}

} // namespace realizar::cli
