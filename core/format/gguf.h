// GGUF reader and writer (versions 2 and 3). Format: docs/formats/gguf.md. Files of the format APR
// (docs/formats/apr.md) are opened as if they were GGUF, by the same reader.
//
// The reader maps the file and checks every count, offset and length before it is used; what it
// returns can be walked without further checks. The mapping lives as long as the GgufFile.
#pragma once

#include "core/common/result.h"
#include "core/tensor/dtype.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace realizar {

// Value types, with their ids in the file.
enum class GgufType : uint32_t {
    u8 = 0,
    i8 = 1,
    u16 = 2,
    i16 = 3,
    u32 = 4,
    i32 = 5,
    f32 = 6,
    boolean = 7,
    string = 8,
    array = 9,
    u64 = 10,
    i64 = 11,
    f64 = 12,
};

// An array of scalars or strings. Strings are views into the mapping.
struct GgufArray {
    GgufType element = GgufType::u8;
    uint64_t count = 0;
    std::span<const std::byte> bytes;      // scalars: packed little-endian, perhaps unaligned
    std::vector<std::string_view> strings; // element == string
    // Element i as a number; i < count, element is a scalar type.
    double number(uint64_t i) const;
    int64_t integer(uint64_t i) const;
};

// Integers are widened to (u)int64, f32 to double.
using GgufValue = std::variant<uint64_t, int64_t, double, bool, std::string_view, GgufArray>;

struct GgufEntry {
    std::string_view key;
    GgufType type;
    GgufValue value;
};

struct GgufTensor {
    std::string_view name;
    DType dtype;
    // Row-major, outermost first: the reverse of the order in the file. A [out, in] matrix.
    std::vector<int64_t> dims;
    uint64_t file_offset; // of the first byte in the file, or in its part
    std::span<const std::byte> data;
    uint32_t part = 0; // of a model in several files
};

class GgufFile {
  public:
    // A regular file only. Errors have Code::malformed, tags as in docs/formats/gguf.md, and the
    // byte offset and key or tensor in the message. The first part of a model in several files
    // ("name-00001-of-00003.gguf") brings in the others beside it; together they are one file
    // without the keys split.*. Further tags: split_mismatch (a part is missing its keys or is of
    // another model), not_first_part, too_many_parts.
    static Result<std::shared_ptr<const GgufFile>> open(const std::filesystem::path &path);
    // The same over bytes that outlive the object (tests, fuzzing, the embedded model).
    static Result<std::shared_ptr<const GgufFile>> parse(std::span<const std::byte> bytes,
                                                         std::string label);
    ~GgufFile();

    const char *format() const;       // "GGUF", or "APR" for a file that was opened as one
    uint32_t version() const;         // of the format
    uint64_t size() const;            // of the file, all parts together
    uint32_t parts() const;           // files; 1 for parse()
    const std::string &label() const; // path, for messages
    std::span<const GgufEntry> entries() const;
    std::span<const GgufTensor> tensors() const;
    const GgufEntry *find(std::string_view key) const;
    const GgufTensor *find_tensor(std::string_view name) const;

    // Typed access. A missing key gives nullopt (or an error from require_*); a wrong type or an
    // integer out of range is an error with tag "wrong_type" naming the key.
    Result<std::optional<uint32_t>> get_u32(std::string_view key) const; // any integer type
    Result<std::optional<float>> get_f32(std::string_view key) const;    // any float type
    Result<std::optional<bool>> get_bool(std::string_view key) const;
    Result<std::optional<std::string_view>> get_string(std::string_view key) const;
    Result<const GgufArray *> get_array(std::string_view key) const; // nullptr when missing
    Result<uint32_t> require_u32(std::string_view key) const;
    Result<float> require_f32(std::string_view key) const;
    Result<std::string_view> require_string(std::string_view key) const;

    // Whether the mapped file is still what was checked (size, modification time); tag
    // file_changed. One fstat: cheap enough before each load of weights. Always fine for parse().
    Status verify_unchanged() const;

    // Tells the kernel that the pages of this span will not be needed soon (after packing).
    void drop_pages(std::span<const std::byte> span) const;

  private:
    struct State;
    explicit GgufFile(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// Writes version 3. Metadata first, then tensors in the order added; data streams to disk.
class GgufWriter {
  public:
    void set_u16(std::string key, uint16_t value);
    void set_u32(std::string key, uint32_t value);
    void set_i32(std::string key, int32_t value);
    void set_u64(std::string key, uint64_t value);
    void set_f32(std::string key, float value);
    void set_bool(std::string key, bool value);
    void set_string(std::string key, std::string_view value);
    void set_string_array(std::string key, const std::vector<std::string> &values);
    void set_f32_array(std::string key, const std::vector<float> &values);
    void set_i32_array(std::string key, const std::vector<int32_t> &values);
    void copy(const GgufEntry &entry); // keeps type and bytes
    // dims outermost first.
    void add_tensor(std::string name, DType dtype, std::vector<int64_t> dims);

    // Writes header and infos to a temporary file beside `path`; then write_tensor once per tensor
    // in order, then finish(), which renames the file into place. An abandoned writer leaves
    // nothing.
    Status begin(const std::filesystem::path &path);
    Status write_tensor(std::span<const std::byte> data); // may be called repeatedly for one tensor
    Status finish();

    GgufWriter();
    ~GgufWriter();
    GgufWriter(GgufWriter &&) noexcept;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace realizar
