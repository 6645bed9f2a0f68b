#include "core/format/rewrite.h"

#include "core/format/gguf_split.h"

#include <limits>

namespace realizar {
namespace {

// Bytes of one write; the pages of the input are given back after each.
constexpr uint64_t kChunkBytes = uint64_t(16) << 20;

class Rewriter {
  public:
    Rewriter(const GgufFile &file, const RewriteOptions &options)
        : file_(file), options_(options) {}

    // Writes tensors [begin, end).
    Status write(GgufWriter &writer, size_t begin, size_t end, const std::filesystem::path &out) {
        const auto tensors = file_.tensors();
        for (size_t i = begin; i < end; ++i)
            writer.add_tensor(std::string(tensors[i].name), tensors[i].dtype, tensors[i].dims);
        RZ_TRY(writer.begin(out));
        for (size_t i = begin; i < end; ++i) {
            if (options_.cancelled && options_.cancelled())
                return make_error(Code::cancelled, "cancelled", "the writing was cancelled");
            RZ_TRY(file_.verify_unchanged());
            for (auto rest = tensors[i].data; !rest.empty();) {
                const auto chunk = rest.first(std::min(rest.size(), kChunkBytes));
                RZ_TRY(writer.write_tensor(chunk));
                file_.drop_pages(chunk);
                rest = rest.subspan(chunk.size());
            }
            if (options_.on_tensor) options_.on_tensor(i, tensors.size());
        }
        RZ_TRY(file_.verify_unchanged());
        return writer.finish();
    }

  private:
    const GgufFile &file_;
    const RewriteOptions &options_;
};

} // namespace

Status write_gguf(const GgufFile &file, const std::filesystem::path &out,
                  const RewriteOptions &options) {
    GgufWriter writer;
    for (const GgufEntry &entry : file.entries())
        writer.copy(entry);
    return Rewriter(file, options).write(writer, 0, file.tensors().size(), out);
}

Result<uint32_t> split_gguf(const GgufFile &file, const std::filesystem::path &prefix,
                            const SplitLimits &limits, const RewriteOptions &options) {
    constexpr uint64_t kNone = std::numeric_limits<uint64_t>::max();
    if (limits.bytes == 0 && limits.tensors == 0)
        return make_error(Code::invalid_argument, "bad_option",
                          "expected a limit of bytes or tensors per part, found none");
    const uint64_t most_bytes = limits.bytes ? limits.bytes : kNone;
    const uint64_t most_tensors = limits.tensors ? limits.tensors : kNone;
    const auto tensors = file.tensors();
    std::vector<size_t> begins{0}; // of the parts
    uint64_t bytes = 0;
    for (size_t i = 0; i < tensors.size(); ++i) {
        const uint64_t size = tensors[i].data.size(), have = i - begins.back();
        if (have > 0 && (have == most_tensors || size > most_bytes || bytes > most_bytes - size)) {
            begins.push_back(i);
            bytes = 0;
        }
        bytes += size;
    }
    if (begins.size() > kMaxSplitParts)
        return make_error(Code::invalid_argument, "too_many_parts",
                          "expected limits that give at most %u parts, found %zu", kMaxSplitParts,
                          begins.size());
    const auto count = static_cast<uint32_t>(begins.size());
    Rewriter rewriter(file, options);
    for (uint32_t part = 0; part < count; ++part) {
        GgufWriter writer;
        for (const GgufEntry &entry : file.entries())
            if (part == 0 || entry.key == kGgufAlignmentKey) writer.copy(entry);
        writer.set_u16(kSplitNumberKey, static_cast<uint16_t>(part));
        writer.set_u16(kSplitCountKey, static_cast<uint16_t>(count));
        writer.set_i32(kSplitTensorsKey, static_cast<int32_t>(tensors.size()));
        const std::filesystem::path name(split_part_name(prefix.native(), part + 1, count));
        const size_t end = part + 1 < count ? begins[part + 1] : tensors.size();
        RZ_TRY(rewriter.write(writer, begins[part], end, name));
    }
    return count;
}

} // namespace realizar
