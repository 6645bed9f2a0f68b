// realizar info: what a model file says about itself.
#include "core/models/model.h"
#include "tools/realizar/commands.h"
#include "tools/realizar/options.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>

namespace realizar::cli {
namespace {

constexpr const char *kFooter = R"(Examples:
  realizar info model.gguf
  realizar info model.gguf --json
  realizar info                              the built-in model)";

constexpr uint64_t kShownElements = 8; // of an array

struct InfoOptions {
    std::string model;
    bool json = false;
};

const char *type_name(GgufType type) {
    static constexpr const char *kNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                             "bool", "string", "array", "u64", "i64", "f64"};
    return kNames[static_cast<size_t>(type)];
}

bool is_float(GgufType type) { return type == GgufType::f32 || type == GgufType::f64; }

// Long arrays are cut: {"type", "count", "first": [...]}.
Json array_json(const GgufArray &array) {
    Json first = Json::array();
    for (uint64_t i = 0; i < std::min(array.count, kShownElements); ++i) {
        if (array.element == GgufType::string) {
            first.push_back(array.strings[i]);
        } else if (is_float(array.element)) {
            first.push_back(array.number(i));
        } else {
            first.push_back(array.integer(i));
        }
    }
    if (array.count <= kShownElements) return first;
    return {{"type", type_name(array.element)}, {"count", array.count}, {"first", first}};
}

Json value_json(const GgufValue &value) {
    return std::visit(
        [](const auto &v) -> Json {
            if constexpr (std::is_same_v<std::decay_t<decltype(v)>, GgufArray>) {
                return array_json(v);
            } else {
                return v;
            }
        },
        value);
}

uint64_t elements_of(const GgufTensor &tensor) {
    uint64_t count = 1;
    for (const int64_t dim : tensor.dims)
        count *= static_cast<uint64_t>(dim);
    return count;
}

struct Totals {
    uint64_t parameters = 0, bytes = 0;
    std::map<std::string, uint64_t> by_type; // tensors
};

Totals totals_of(const GgufFile &file) {
    Totals totals;
    for (const GgufTensor &tensor : file.tensors()) {
        totals.parameters += elements_of(tensor);
        totals.bytes += tensor.data.size();
        ++totals.by_type[dtype_info(tensor.dtype).name];
    }
    return totals;
}

// Whether this build can run the model: an empty text, or why not.
std::string why_not(const std::shared_ptr<const GgufFile> &file) {
    const auto model = ModelFile::open(file);
    return model.ok() ? std::string() : model.error().message;
}

void print_as_json(const std::shared_ptr<const GgufFile> &file) {
    const Totals totals = totals_of(*file);
    const std::string reason = why_not(file);
    const auto architecture = file->get_string("general.architecture");
    Json metadata = Json::object(), tensors = Json::array();
    for (const GgufEntry &entry : file->entries())
        metadata[std::string(entry.key)] = value_json(entry.value);
    for (const GgufTensor &tensor : file->tensors())
        tensors.push_back({{"name", tensor.name},
                           {"dtype", dtype_info(tensor.dtype).name},
                           {"dims", tensor.dims},
                           {"bytes", tensor.data.size()},
                           {"offset", tensor.file_offset}});
    Json out = {{"file", file->label()},
                {"format", file->format()},
                {"version", file->version()},
                {"parts", file->parts()},
                {"size", file->size()},
                {"architecture", nullptr},
                {"runnable", reason.empty()},
                {"reason", reason},
                {"parameters", totals.parameters},
                {"tensor_bytes", totals.bytes},
                {"metadata", std::move(metadata)},
                {"tensors", std::move(tensors)}};
    if (architecture.ok() && *architecture) out["architecture"] = **architecture;
    print_json(out, 2);
}

void print_as_text(const std::shared_ptr<const GgufFile> &file) {
    const Totals totals = totals_of(*file);
    const std::string reason = why_not(file);
    std::string types;
    for (const auto &[name, count] : totals.by_type)
        types += (types.empty() ? "" : ", ") + std::to_string(count) + " " + name;
    char millions[32];
    std::snprintf(millions, sizeof millions, "%.2f M",
                  static_cast<double>(totals.parameters) / 1e6);
    print_text(file->label() + "\n  " + file->format() + " version " +
               std::to_string(file->version()) +
               (file->parts() > 1 ? ", " + std::to_string(file->parts()) + " files" : "") + ", " +
               bytes_text(file->size()) + ", " + millions + " parameters\n  " +
               std::to_string(file->tensors().size()) + " tensors (" + types + "), " +
               bytes_text(totals.bytes) + "\n  " +
               (reason.empty() ? "this build runs it" : "this build cannot run it: " + reason) +
               "\n\nMetadata\n");
    for (const GgufEntry &entry : file->entries()) {
        const std::string value =
            value_json(entry.value).dump(-1, ' ', false, Json::error_handler_t::replace);
        print_text("  " + printable(entry.key) + " = " + printable(value, 160) + "\n");
    }
    print_text("\nTensors\n");
    for (const GgufTensor &tensor : file->tensors()) {
        std::string dims;
        for (const int64_t dim : tensor.dims)
            dims += (dims.empty() ? "" : " x ") + std::to_string(dim);
        char line[200];
        std::snprintf(line, sizeof line, "  %-32s %-6s %-16s %10s\n",
                      printable(tensor.name).c_str(), dtype_info(tensor.dtype).name, dims.c_str(),
                      bytes_text(tensor.data.size()).c_str());
        print_text(line);
    }
}

Status run(const InfoOptions &options) {
    RZ_ASSIGN(const auto file, open_model(options.model));
    options.json ? print_as_json(file) : print_as_text(file);
    return {};
}

} // namespace

void add_info(CLI::App &app, Action &action) {
    CLI::App *command = app.add_subcommand("info", "show metadata and tensors of a model file");
    command->footer(kFooter);
    auto options = std::make_shared<InfoOptions>();
    auto *named = command->add_option("-m,--model", options->model, "the same")->type_name("FILE");
    command->add_option("MODEL", options->model, "GGUF file (default: the built-in model)")
        ->excludes(named);
    command->add_flag("--json", options->json, "print JSON");
    command->callback([=, &action] { action = [=] { return run(*options); }; });
}

} // namespace realizar::cli
