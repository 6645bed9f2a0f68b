#include "core/format/importance.h"

#include "core/format/mapping.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>
#include <numeric>
#include <span>

namespace realizar {
namespace {

constexpr std::string_view kSquares = ".in_sum2", kCounts = ".counts";

Error malformed(const GgufTensor &tensor, const char *expected) {
    return make_error(Code::malformed, "malformed_importance", "tensor '%s': expected %s",
                      printable(tensor.name).c_str(), expected);
}

// F32 numbers, none of them negative or not finite.
Result<std::vector<double>> numbers(const GgufTensor &tensor) {
    if (tensor.dtype != DType::F32) return malformed(tensor, "F32 numbers");
    std::vector<double> out(tensor.data.size() / sizeof(float));
    for (size_t i = 0; i < out.size(); ++i) {
        float value;
        std::memcpy(&value, tensor.data.data() + i * sizeof value, sizeof value);
        if (!(value >= 0) || !std::isfinite(value))
            return malformed(tensor, "finite numbers of at least zero");
        out[i] = value;
    }
    return out;
}

std::vector<std::byte> floats(const std::vector<double> &values) {
    std::vector<std::byte> out(values.size() * sizeof(float));
    for (size_t i = 0; i < values.size(); ++i) {
        const auto value = static_cast<float>(values[i]);
        std::memcpy(out.data() + i * sizeof value, &value, sizeof value);
    }
    return out;
}

} // namespace

Result<ImportanceMatrix> ImportanceMatrix::load(const std::filesystem::path &path) {
    RZ_ASSIGN(const FileMapping mapping, FileMapping::open(path));
    const auto bytes = mapping.bytes();
    if (bytes.size() >= 4 && std::memcmp(bytes.data(), "GGUF", 4) == 0) {
        RZ_ASSIGN(const auto file, GgufFile::open(path));
        return from_gguf(*file);
    }
    auto matrix = from_dat(bytes);
    if (!matrix.ok()) return std::move(matrix).error().within(printable(path.native(), 4096));
    return matrix;
}

Result<ImportanceMatrix> ImportanceMatrix::from_gguf(const GgufFile &file) {
    RZ_ASSIGN(const auto type, file.get_string("general.type"));
    if (type.value_or("") != "imatrix")
        return make_error(Code::malformed, "not_importance",
                          "%s: expected a GGUF file of the type 'imatrix', found '%s'",
                          file.label().c_str(), printable(type.value_or("model")).c_str());
    ImportanceMatrix result;
    for (const GgufTensor &squares : file.tensors()) {
        if (!squares.name.ends_with(kSquares)) continue;
        const std::string name(squares.name.substr(0, squares.name.size() - kSquares.size()));
        const GgufTensor *counts = file.find_tensor(name + std::string(kCounts));
        if (counts == nullptr)
            return malformed(squares,
                             ("a tensor '" + printable(name) + ".counts' beside it").c_str());
        ImportanceEntry entry;
        RZ_ASSIGN(entry.squares, numbers(squares));
        RZ_ASSIGN(entry.counts, numbers(*counts));
        entry.columns = static_cast<uint64_t>(squares.dims.back());
        if (entry.columns == 0 || entry.counts.empty() ||
            entry.squares.size() != entry.columns * entry.counts.size())
            return malformed(squares, "one row of sums for each count");
        result.entries_.emplace(name, std::move(entry));
    }
    return result;
}

ImportanceEntry *ImportanceMatrix::entry(std::string_view weight, uint64_t matrices,
                                         uint64_t columns) {
    auto found = entries_.find(weight);
    if (found == entries_.end()) {
        ImportanceEntry fresh;
        fresh.columns = columns;
        fresh.squares.resize(matrices * columns);
        fresh.counts.resize(matrices);
        found = entries_.emplace(std::string(weight), std::move(fresh)).first;
    }
    ImportanceEntry &entry = found->second;
    return entry.matrices() == matrices && entry.columns == columns ? &entry : nullptr;
}

const ImportanceEntry *ImportanceMatrix::find(std::string_view weight) const {
    const auto found = entries_.find(weight);
    return found == entries_.end() ? nullptr : &found->second;
}

std::vector<float> ImportanceMatrix::column_weights(const ImportanceEntry &entry, uint64_t matrix) {
    const auto squares = std::span(entry.squares).subspan(matrix * entry.columns, entry.columns);
    const double count = entry.counts[matrix];
    const double total = std::accumulate(squares.begin(), squares.end(), 0.0);
    std::vector<float> weights(entry.columns, 1.0f);
    if (!(count > 0) || !(total > 0)) return weights;
    const double least = 1e-3 * total / static_cast<double>(entry.columns);
    for (uint64_t i = 0; i < entry.columns; ++i)
        weights[i] = static_cast<float>(std::max(squares[i], least) / count);
    return weights;
}

Status ImportanceMatrix::save(const std::filesystem::path &path, const Source &source) const {
    GgufWriter writer;
    writer.set_string("general.type", "imatrix");
    writer.set_string_array("imatrix.datasets", {source.data});
    writer.set_u32("imatrix.chunk_count", source.chunks);
    writer.set_u32("imatrix.chunk_size", source.tokens_per_chunk);
    for (const auto &[name, entry] : entries_) {
        const auto matrices = static_cast<int64_t>(entry.matrices());
        const auto columns = static_cast<int64_t>(entry.columns);
        writer.add_tensor(name + std::string(kSquares), DType::F32, {matrices, columns});
        writer.add_tensor(name + std::string(kCounts), DType::F32, {matrices, 1});
    }
    RZ_TRY(writer.begin(path));
    for (const auto &[name, entry] : entries_) {
        RZ_TRY(writer.write_tensor(floats(entry.squares)));
        RZ_TRY(writer.write_tensor(floats(entry.counts)));
    }
    return writer.finish();
}

} // namespace realizar
