#include "core/models/model.h"

#include "core/models/architectures.h"

#include <algorithm>

namespace realizar {
namespace {

constexpr Architecture kArchitectures[] = {
    {"llama", false, build_llama},
    {"qwen2", true, build_llama},
};

} // namespace

std::span<const Architecture> architectures() { return kArchitectures; }

std::vector<std::string> known_architectures() {
    std::vector<std::string> names;
    for (const Architecture &row : kArchitectures)
        names.emplace_back(row.name);
    return names;
}

Result<std::shared_ptr<const ModelFile>> ModelFile::open(std::shared_ptr<const GgufFile> file) {
    RZ_ASSIGN(const std::string_view name, file->require_string("general.architecture"));
    const auto table = architectures();
    const auto row = std::ranges::find(table, name, &Architecture::name);
    if (row == table.end()) {
        std::string known;
        for (const Architecture &architecture : table)
            known += (known.empty() ? "" : ", ") + std::string(architecture.name);
        return make_error(Code::unsupported, "unknown_architecture",
                          "architecture '%s' is not known; known: %s", printable(name).c_str(),
                          known.c_str());
    }
    RZ_ASSIGN(const auto parts, file->get_u32("split.count"));
    if (parts.value_or(1) > 1)
        return make_error(
            Code::unsupported, "split_model",
            "key 'split.count': expected 1 (models in several files are not supported "
            "yet), found %u",
            *parts);
    std::shared_ptr<ModelFile> model(new ModelFile);
    RZ_ASSIGN(model->config_, read_config(*file, row->rope_halves));
    model->file_ = std::move(file);
    model->architecture_ = static_cast<size_t>(row - table.begin());
    // Building once checks that every tensor is there and has its shape.
    RZ_ASSIGN(const Graph checked, model->build({}));
    return std::shared_ptr<const ModelFile>(std::move(model));
}

Result<Graph> ModelFile::build(const StepShape &shape) const {
    StepBuilder step(*file_, config_, shape);
    const TensorId logits = architectures()[architecture_].build(step);
    return std::move(step).build(logits);
}

} // namespace realizar
