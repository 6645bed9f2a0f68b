// Importance matrices as older programs wrote them ("imatrix.dat"), little-endian:
//   i32 entries; for each: i32 size and name of the weight, i32 calls, i32 count, F32 [count] sums;
//   then, in most files, i32 chunks, i32 size and name of the text.
// The sums are mean squares times `calls`; experts of a stack follow each other.
#include "core/format/importance.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace realizar {
namespace {

constexpr uint32_t kMaxName = 4096;

class DatReader {
  public:
    explicit DatReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

    // A count of 1 to `limit`; 0 if there is none.
    uint32_t count(uint64_t limit) {
        int32_t value = 0;
        return number(value) && value > 0 && static_cast<uint64_t>(value) <= limit
                   ? static_cast<uint32_t>(value)
                   : 0;
    }
    bool number(int32_t &value) {
        if (bytes_.size() < sizeof value) return false;
        std::memcpy(&value, take(sizeof value).data(), sizeof value);
        return true;
    }
    std::span<const std::byte> take(uint64_t size) { // size <= rest()
        const auto out = bytes_.first(size);
        bytes_ = bytes_.subspan(size);
        return out;
    }
    uint64_t rest() const { return bytes_.size(); }

  private:
    std::span<const std::byte> bytes_;
};

Error malformed(uint32_t entry, const char *expected) {
    return make_error(Code::malformed, "malformed_importance", "entry %u: expected %s", entry,
                      expected);
}

Result<ImportanceEntry> read_entry(DatReader &reader, uint32_t index) {
    ImportanceEntry entry;
    int32_t calls = 0;
    if (!reader.number(calls) || calls < 0) return malformed(index, "a count of calls");
    entry.columns = reader.count(reader.rest() / sizeof(float));
    if (entry.columns == 0) return malformed(index, "as many sums as it says");
    entry.counts = {calls > 0 ? static_cast<double>(calls) : 1.0};
    std::vector<float> sums(entry.columns);
    std::memcpy(sums.data(), reader.take(sums.size() * sizeof(float)).data(),
                sums.size() * sizeof(float));
    for (const float sum : sums)
        if (!(sum >= 0) || !std::isfinite(sum))
            return malformed(index, "finite numbers of at least zero");
    entry.squares.assign(sums.begin(), sums.end());
    return entry;
}

} // namespace

Result<ImportanceMatrix> ImportanceMatrix::from_dat(std::span<const std::byte> bytes) {
    DatReader reader(bytes);
    constexpr uint64_t kLeast = 4 * sizeof(int32_t) + 1; // bytes of an entry
    const uint32_t count = reader.count(bytes.size() / kLeast);
    if (count == 0)
        return make_error(Code::malformed, "not_importance",
                          "expected a GGUF file of the type 'imatrix' or an imatrix.dat, found "
                          "neither");
    ImportanceMatrix result;
    for (uint32_t i = 0; i < count; ++i) {
        const uint32_t size = reader.count(std::min<uint64_t>(kMaxName, reader.rest()));
        if (size == 0 || size > reader.rest()) return malformed(i, "the name of a weight");
        const auto name = reader.take(size);
        RZ_ASSIGN(ImportanceEntry entry, read_entry(reader, i));
        result.entries_.emplace(std::string(reinterpret_cast<const char *>(name.data()), size),
                                std::move(entry));
    }
    int32_t chunks = 0;
    if (reader.number(chunks) && reader.rest() > 0 && reader.count(reader.rest()) != reader.rest())
        return malformed(count, "the name of the text, or the end of the file");
    return result;
}

} // namespace realizar
