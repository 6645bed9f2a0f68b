// safetensors: a JSON header with names, types, shapes and offsets, then the data, back to back.
//
// File: u64 little-endian header size n, n bytes of JSON, data. Offsets count from the end of the
// header; tensors cover the data without gap or overlap.
#pragma once

#include "core/common/result.h"
#include "core/tensor/dtype.h"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace realizar {

struct SafeTensor {
    std::string name;
    DType dtype;                     // F32, F16 or BF16
    std::vector<int64_t> dims;       // row-major, outermost first; 1 to 4 of at least 1
    std::span<const std::byte> data; // perhaps unaligned
};

class SafetensorsFile {
  public:
    // Errors have Code::malformed (or unsupported for other element types). Tags: truncated_header,
    // header_too_large, those of parse_json, bad_header (a field missing or of the wrong kind),
    // bad_dtype, too_many_dims, zero_dim, bad_dim, elements_overflow, bad_offset, size_mismatch,
    // too_many_tensors; those of FileMapping for open().
    static Result<std::shared_ptr<const SafetensorsFile>> open(const std::filesystem::path &path);
    // The bytes outlive the object.
    static Result<std::shared_ptr<const SafetensorsFile>> parse(std::span<const std::byte> bytes,
                                                                std::string label);
    ~SafetensorsFile();

    const std::string &label() const;
    std::span<const SafeTensor> tensors() const; // by rising name
    const SafeTensor *find(std::string_view name) const;
    Status verify_unchanged() const;
    void drop_pages(std::span<const std::byte> span) const;

  private:
    struct State;
    explicit SafetensorsFile(std::unique_ptr<State> state);
    static Result<std::shared_ptr<const SafetensorsFile>> load(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// The weights of a model folder: model.safetensors, or the shards that
// model.safetensors.index.json lists. Shard names are plain file names: nothing outside the folder
// can be named. (Links are followed: model hubs keep their files behind links.)
class SafetensorsFolder {
  public:
    // Further tags: bad_shard_name, bad_index, shard_mismatch (a tensor is not where the index has
    // it, or is in a shard but not in the index).
    static Result<SafetensorsFolder> open(const std::filesystem::path &folder);

    struct Item {
        const SafeTensor *tensor;
        const SafetensorsFile *file;
    };
    std::span<const Item> items() const { return items_; } // by rising name
    const Item *find(std::string_view name) const;         // nullptr if there is none
    Status verify_unchanged() const;

  private:
    std::vector<std::shared_ptr<const SafetensorsFile>> files_;
    std::vector<Item> items_;
};

} // namespace realizar
