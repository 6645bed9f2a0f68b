// Models in several GGUF files. Internal to core/format.
//
// Each part is a GGUF file of its own with the keys split.no (from 0), split.count and
// split.tensors.count (of all parts together); the model's metadata is in the first. The parts of
// "name" are name-00001-of-00003.gguf and so on.
#pragma once

#include "core/format/gguf_parse.h"

namespace realizar {

constexpr const char *kSplitNumberKey = "split.no";
constexpr const char *kSplitCountKey = "split.count";
constexpr const char *kSplitTensorsKey = "split.tensors.count";
// Every part keeps a descriptor open.
constexpr uint32_t kMaxSplitParts = 512;

// number counts from 1.
std::string split_part_name(std::string_view prefix, uint32_t number, uint32_t count);

// The file names of the parts after the first, which is `first` and has the name `file_name`; none if
// it is a whole model. Tags: split_mismatch, not_first_part, too_many_parts.
Result<std::vector<std::string>> split_part_names(const GgufContents &first,
                                                  const std::string &file_name);

// Appends the tensors of the other parts and drops the keys split.*. Tags: split_mismatch,
// duplicate_tensor, too_many_tensors.
Status join_split_parts(GgufContents &first, std::vector<GgufContents> rest);

} // namespace realizar
