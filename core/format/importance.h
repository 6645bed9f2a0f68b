// Importance matrices: how large the inputs of each column of a weight are on typical text, so that
// quantisation spends its precision where it shows. Kept in GGUF files (docs/quantization.md).
#pragma once

#include "core/format/gguf.h"

#include <map>

namespace realizar {

// For one weight of `matrices` matrices (1, or one per expert) with `columns` columns.
struct ImportanceEntry {
    uint64_t columns = 0;
    std::vector<double> squares; // [matrices, columns]: sums over rows of inputs
    std::vector<double> counts;  // [matrices]: how many rows

    uint64_t matrices() const { return counts.size(); }
};

class ImportanceMatrix {
  public:
    // Tags: those of GgufFile::open, not_importance (another kind of file), malformed_importance.
    static Result<ImportanceMatrix> load(const std::filesystem::path &path);
    static Result<ImportanceMatrix> from_gguf(const GgufFile &file);
    // The format before GGUF. It does not tell experts apart: each weight has one matrix, whose columns
    // are those of all experts in turn.
    static Result<ImportanceMatrix> from_dat(std::span<const std::byte> bytes);

    // The entry of a weight, made with this shape on first use; nullptr if there is one of another
    // shape.
    ImportanceEntry *entry(std::string_view weight, uint64_t matrices, uint64_t columns);
    const ImportanceEntry *find(std::string_view weight) const;
    size_t size() const { return entries_.size(); }

    // Weights of the squared errors of matrix `matrix`, one per column: the mean squares of the inputs,
    // though at least a thousandth of their average, since what one text leaves alone another uses. 1
    // for a matrix that no input reached.
    static std::vector<float> column_weights(const ImportanceEntry &entry, uint64_t matrix);

    struct Source {
        std::string data;    // a name of the text, for the record
        uint32_t chunks = 0; // evaluated
        uint32_t tokens_per_chunk = 0;
    };
    Status save(const std::filesystem::path &path, const Source &source) const;

  private:
    std::map<std::string, ImportanceEntry, std::less<>> entries_;
};

} // namespace realizar
