// APR files, version 2: tensors with JSON metadata. Format: docs/formats/apr.md.
//
// parse_apr() checks the bytes; what it returns can be walked without further checks. Models are
// opened through GgufFile::open(), which knows this format too (apr_model.h).
#pragma once

#include "core/common/result.h"
#include "core/tensor/dtype.h"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace realizar {

// How the elements of a tensor are stored: as one of our element types, or in a form of APR's own.
enum class AprStorage : uint8_t {
    plain, // AprTensor::dtype
    q4,    // blocks of 32 over the whole tensor: F16 scale, 16 bytes of nibbles, low one first
    q8,    // F32 scale, then an I8 per element
    u8,
};

struct AprTensor {
    std::string_view name;
    AprStorage storage = AprStorage::plain;
    DType dtype = DType::F32;
    std::vector<int64_t> dims; // row-major, outermost first; 1 to 8 of at least 1
    uint64_t file_offset = 0;  // of the first byte in the (uncompressed) file
    std::span<const std::byte> data;

    uint64_t elements() const;
};

struct AprContents {
    uint32_t minor = 0, flags = 0;
    nlohmann::json metadata;                  // an object
    std::vector<AprTensor> tensors;           // by rising name
    std::shared_ptr<const std::string> image; // where a compressed file was unpacked to
};

// Bounds on what a file may ask for.
struct AprLimits {
    static constexpr uint64_t kMetadataBytes = uint64_t(16) << 20;
    static constexpr uint64_t kMetadataValues = uint64_t(2) << 20;
    static constexpr uint64_t kTensors = 65536;
    static constexpr uint32_t kNameBytes = 256;
    static constexpr uint32_t kRank = 8;
};

struct AprOptions {
    bool allow_missing_header_crc = false; // old writers left it 0
};

bool is_apr(std::span<const std::byte> bytes);    // begins like a version 2 file
bool is_apr_v1(std::span<const std::byte> bytes); // see apr_v1.h

// Views point into `bytes`, or into `image`. Errors are Code::malformed, or Code::unsupported for
// encrypted, signed, sharded, column-major and zstd files; tags: docs/formats/apr.md.
Result<AprContents> parse_apr(std::span<const std::byte> bytes, const AprOptions &options = {});

// Elements [begin, begin + out.size()) as float32.
Status decode_apr(const AprTensor &tensor, uint64_t begin, std::span<float> out);

// Writes uncompressed files with all checksums. Tensors keep the order in which they are added.
class AprWriter {
  public:
    // `metadata` is a JSON object.
    explicit AprWriter(nlohmann::json metadata, uint16_t flags = 0);
    ~AprWriter();
    AprWriter(AprWriter &&) noexcept;

    void add_tensor(std::string name, DType dtype, std::vector<int64_t> dims);
    // Then begin(), write_tensor() for each in order, perhaps in pieces, and finish(), which moves
    // the file into place. A writer that is given up leaves nothing. Tags: those of the reader,
    // writer_order, data_too_long, write_failed.
    Status begin(const std::filesystem::path &path);
    Status write_tensor(std::span<const std::byte> data);
    Status finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace realizar
