// The tensor infos of a GGUF file and the place of their data.
#include "core/format/gguf_cursor.h"

#include <cinttypes>
#include <limits>

namespace realizar {
namespace {

constexpr uint64_t kMaxInt64 = std::numeric_limits<int64_t>::max();

class TensorParser {
  public:
    TensorParser(GgufCursor &cursor, uint64_t count, GgufContents &contents)
        : cursor_(cursor), count_(count), contents_(contents) {}

    Status tensor_infos();
    Status place_data();

  private:
    Status read_tensor_info(GgufTensor &tensor);
    Status read_dims(GgufTensor &tensor, uint32_t rank);
    Status tensor_bytes(GgufTensor &tensor, uint64_t &size);

    GgufCursor &cursor_;
    uint64_t count_;
    GgufContents &contents_;
    std::vector<uint64_t> tensor_sizes_;
    std::vector<uint64_t> offset_fields_; // where each tensor's offset stands, for messages
};

Status TensorParser::tensor_infos() {
    contents_.tensors.reserve(count_);
    tensor_sizes_.reserve(count_);
    offset_fields_.reserve(count_);
    for (uint64_t i = 0; i < count_; ++i) {
        GgufTensor tensor{};
        RZ_TRY(read_tensor_info(tensor));
        contents_.tensors.push_back(std::move(tensor));
    }
    if (const GgufTensor *twin =
            sort_by_text(contents_.tensors, &GgufTensor::name, contents_.tensor_order)) {
        return cursor_.fail("duplicate_tensor", cursor_.offset_of(twin->name),
                            "expected each tensor once, found '%s' again",
                            printable(twin->name).c_str());
    }
    return {};
}

Status TensorParser::read_tensor_info(GgufTensor &tensor) {
    const uint64_t start = cursor_.at();
    uint64_t name_size = 0;
    if (!cursor_.read(name_size))
        return cursor_.fail("truncated_tensor_info", start,
                            "expected tensor %zu of %" PRIu64 ", found the end of the file",
                            contents_.tensors.size() + 1, count_);
    if (name_size > GgufLimits::kNameBytes)
        return cursor_.fail("name_too_long", start,
                            "expected a tensor name of at most %" PRIu64
                            " bytes, found length %" PRIu64,
                            GgufLimits::kNameBytes, name_size);
    if (name_size > cursor_.left())
        return cursor_.fail("string_exceeds_file", start,
                            "expected a tensor name within the %" PRIu64
                            " bytes left, found length %" PRIu64,
                            cursor_.left(), name_size);
    tensor.name = cursor_.take_text(name_size);
    if (tensor.name.empty() || !gguf_is_clean_text(tensor.name))
        return cursor_.fail("bad_name", start,
                            "expected a tensor name of UTF-8 without control bytes, "
                            "found '%s'",
                            printable(tensor.name).c_str());
    cursor_.set_subject("tensor", tensor.name);
    uint32_t rank = 0, type = 0;
    if (!cursor_.read(rank))
        return cursor_.fail("truncated_tensor_info", cursor_.at(),
                            "expected a rank, found the end of the file");
    if (rank > GgufLimits::kRank)
        return cursor_.fail("too_many_dims", cursor_.at() - 4,
                            "expected at most %" PRIu32 " dimensions, found %" PRIu32,
                            GgufLimits::kRank, rank);
    RZ_TRY(read_dims(tensor, rank));
    if (!cursor_.read(type) || !cursor_.read(tensor.file_offset))
        return cursor_.fail("truncated_tensor_info", cursor_.at(),
                            "expected type and offset, found the end of the file");
    const DTypeInfo *info = find_dtype(type);
    if (info == nullptr)
        return cursor_.fail("bad_tensor_type", cursor_.at() - 12,
                            "expected a known element type, found %" PRIu32, type);
    tensor.dtype = info->dtype;
    offset_fields_.push_back(cursor_.at() - 8);
    uint64_t size = 0;
    RZ_TRY(tensor_bytes(tensor, size));
    tensor_sizes_.push_back(size);
    cursor_.clear_subject();
    return {};
}

// The file has the fastest-running dimension first; a scalar (rank 0) becomes [1].
Status TensorParser::read_dims(GgufTensor &tensor, uint32_t rank) {
    for (uint32_t i = 0; i < rank; ++i) {
        uint64_t dim = 0;
        if (!cursor_.read(dim))
            return cursor_.fail("truncated_tensor_info", cursor_.at(),
                                "expected dimension %" PRIu32 " of %" PRIu32
                                ", found the end of the file",
                                i + 1, rank);
        if (dim > kMaxInt64)
            return cursor_.fail("bad_dim", cursor_.at() - 8,
                                "expected a dimension below 2^63, found %" PRIu64, dim);
        if (dim == 0)
            return cursor_.fail("zero_dim", cursor_.at() - 8,
                                "expected dimensions of at least 1, found 0");
        tensor.dims.push_back(static_cast<int64_t>(dim));
    }
    if (rank == 0) tensor.dims.push_back(1);
    std::ranges::reverse(tensor.dims);
    return {};
}

Status TensorParser::tensor_bytes(GgufTensor &tensor, uint64_t &size) {
    const DTypeInfo &info = dtype_info(tensor.dtype);
    int64_t elements = 1;
    for (const int64_t dim : tensor.dims)
        if (__builtin_mul_overflow(elements, dim, &elements))
            return cursor_.fail(
                "elements_overflow", cursor_.at(),
                "expected fewer than 2^63 elements, found a product of dimensions above that");
    const int64_t row = tensor.dims.back();
    if (row % info.block_elements != 0)
        return cursor_.fail("row_not_block_multiple", cursor_.at(),
                            "expected rows of a multiple of %" PRIu32
                            " elements for %s, found %" PRId64,
                            info.block_elements, info.name, row);
    const uint64_t blocks = static_cast<uint64_t>(elements) / info.block_elements;
    if (__builtin_mul_overflow(blocks, uint64_t(info.block_bytes), &size))
        return cursor_.fail("bytes_overflow", cursor_.at(),
                            "expected fewer than 2^64 bytes, found %" PRId64 " elements of %s",
                            elements, info.name);
    return {};
}

// Tensors follow each other in the order of their infos, each padded to the alignment. The last
// one's padding may be missing.
Status TensorParser::place_data() {
    if (contents_.tensors.empty()) {
        contents_.data_offset = cursor_.bytes().size();
        return {};
    }
    const uint64_t align = contents_.alignment;
    const auto padded = [align](uint64_t n) { return (n + align - 1) / align * align; };
    uint64_t total = 0;
    for (size_t i = 0; i < contents_.tensors.size(); ++i) {
        const uint64_t size = tensor_sizes_[i];
        if (size > kMaxInt64 - align || (total += padded(size)) > kMaxInt64)
            return cursor_.fail(
                "total_overflow", offset_fields_[i],
                "expected all tensors to have fewer than 2^63 bytes, found more up to '%s'",
                printable(contents_.tensors[i].name).c_str());
    }
    contents_.data_offset = padded(cursor_.at());
    if (contents_.data_offset >= cursor_.bytes().size())
        return cursor_.fail("truncated_data", cursor_.at(),
                            "expected %" PRIu64 " bytes of tensor data at byte %" PRIu64
                            ", found a file of %zu bytes",
                            total, contents_.data_offset, cursor_.bytes().size());
    const std::span<const std::byte> data = cursor_.bytes().subspan(contents_.data_offset);
    uint64_t next = 0;
    for (size_t i = 0; i < contents_.tensors.size(); ++i) {
        GgufTensor &tensor = contents_.tensors[i];
        const uint64_t offset = tensor.file_offset, size = tensor_sizes_[i],
                       field = offset_fields_[i];
        cursor_.set_subject("tensor", tensor.name);
        if (offset % align != 0)
            return cursor_.fail("bad_offset", field,
                                "expected a multiple of %" PRIu64 ", found offset %" PRIu64, align,
                                offset);
        if (offset > data.size() || size > data.size() - offset)
            return cursor_.fail("tensor_past_eof", field,
                                "expected an end within the %zu bytes of data, found "
                                "offset %" PRIu64 " and %" PRIu64 " bytes",
                                data.size(), offset, size);
        if (offset < next)
            return cursor_.fail("overlap", field,
                                "expected offset %" PRIu64 " after the tensors before, "
                                "found %" PRIu64 " inside one of them",
                                next, offset);
        if (offset > next)
            return cursor_.fail("bad_offset", field,
                                "expected offset %" PRIu64 " right after the tensor before, "
                                "found %" PRIu64,
                                next, offset);
        tensor.file_offset = contents_.data_offset + offset;
        tensor.data = data.subspan(offset, size);
        next = offset + padded(size);
    }
    return {};
}

} // namespace

Status parse_gguf_tensors(GgufCursor &cursor, uint64_t count, GgufContents &contents) {
    TensorParser parser(cursor, count, contents);
    RZ_TRY(parser.tensor_infos());
    return parser.place_data();
}

} // namespace realizar
