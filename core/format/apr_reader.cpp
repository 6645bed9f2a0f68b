#include "core/format/apr.h"

#include "core/common/crc32.h"
#include "core/format/apr_layout.h"
#include "core/format/json_bounded.h"
#include "core/format/lz4.h"
#include "core/quant/codec.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cinttypes>
#include <cstring>
#include <limits>
#include <numeric>

static_assert(std::endian::native == std::endian::little, "APR data is used in place");

namespace realizar {
namespace {

using Bytes = std::span<const std::byte>;

template <class T>
T number_at(Bytes bytes, uint64_t offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

std::string_view text_of(Bytes bytes) {
    return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

template <class... Args>
Error malformed(const char *tag, const char *format, Args... args) {
    return make_error(Code::malformed, tag, format, args...);
}

struct Header {
    uint32_t minor, flags, tensors, metadata_size;
    uint64_t metadata_offset, index_offset, data_offset;
};

Result<Header> read_header(Bytes bytes, const AprOptions &options) {
    if (!is_apr(bytes))
        return malformed(
            "bad_magic", "expected 'APR' and a zero byte, found '%s'",
            printable(text_of(bytes.first(std::min<size_t>(bytes.size(), 4)))).c_str());
    if (bytes.size() < apr::kHeaderBytes)
        return malformed("truncated_header", "expected a header of 64 bytes, found a file of %zu",
                         bytes.size());
    const auto major = number_at<uint8_t>(bytes, 4);
    if (major != 2) return malformed("unsupported_version", "expected version 2, found %u", major);
    Crc32 crc;
    crc.add(bytes.first(apr::kCrcOffset));
    crc.add(bytes.subspan(apr::kCrcOffset + 4, apr::kHeaderBytes - apr::kCrcOffset - 4));
    const auto stored = number_at<uint32_t>(bytes, apr::kCrcOffset);
    if (stored != crc.value() && !(stored == 0 && options.allow_missing_header_crc))
        return malformed("bad_header_crc",
                         "byte 40: expected the header's checksum 0x%08" PRIX32
                         ", found 0x%08" PRIX32,
                         crc.value(), stored);
    return Header{number_at<uint8_t>(bytes, 5),   number_at<uint16_t>(bytes, 6),
                  number_at<uint32_t>(bytes, 8),  number_at<uint32_t>(bytes, 20),
                  number_at<uint64_t>(bytes, 12), number_at<uint64_t>(bytes, 24),
                  number_at<uint64_t>(bytes, 32)};
}

Status check_flags(uint32_t flags) {
    struct Refused {
        uint32_t flag;
        const char *what;
    };
    constexpr Refused kRefused[] = {{apr::kEncrypted, "encrypted"},
                                    {apr::kSigned, "signed"},
                                    {apr::kSharded, "one of several shards"},
                                    {apr::kColumnMajor, "column-major"},
                                    {apr::kZstd, "compressed with zstd"}};
    for (const Refused &row : kRefused)
        if (flags & row.flag)
            return make_error(Code::unsupported, "unsupported_flag",
                              "flags 0x%04X: expected a plain file, found one that is %s", flags,
                              row.what);
    return {};
}

Status check_place(const char *what, uint64_t offset, uint64_t size, Bytes file) {
    if (offset >= apr::kHeaderBytes && offset <= file.size() && size <= file.size() - offset)
        return {};
    return malformed("bad_offset",
                     "%s: expected a place within the file of %zu bytes, found offset %" PRIu64
                     " and %" PRIu64 " bytes",
                     what, file.size(), offset, size);
}

// A compressed file is the header and one LZ4 block of all the rest, after its size. Some writers
// set the flag and do not compress: then metadata begins there.
Status unpack(const Header &header, Bytes &bytes, AprContents &contents) {
    if (!(header.flags & apr::kLz4)) return {};
    const Bytes rest = bytes.subspan(apr::kHeaderBytes);
    if (rest.size() < 4 || text_of(rest).starts_with("{\"") || text_of(rest).starts_with("{}"))
        return malformed("bad_lz4", "expected compressed content after the header, found none");
    const auto size = number_at<uint32_t>(rest, 0);
    RZ_ASSIGN(const std::string raw, decode_lz4(rest.subspan(4), size));
    auto image = std::make_shared<std::string>(text_of(bytes.first(apr::kHeaderBytes)));
    image->append(raw);
    bytes = std::as_bytes(std::span(*image));
    contents.image = std::move(image);
    return {};
}

// Which type an id means can depend on the tensor's size: writers disagree about ids 3 and 6 to 9.
Status find_type(uint8_t id, uint64_t elements, uint64_t size, AprTensor &tensor) {
    struct Meaning {
        uint8_t id;
        AprStorage storage;
        DType dtype;
    };
    constexpr Meaning kMeanings[] = {
        {apr::kF64, AprStorage::plain, DType::F64}, {apr::kI32, AprStorage::plain, DType::I32},
        {apr::kI64, AprStorage::plain, DType::I64}, {apr::kI8, AprStorage::plain, DType::I8},
        {apr::kU8, AprStorage::u8, DType::F32},     {apr::kQ4, AprStorage::q4, DType::F32},
        {apr::kQ8, AprStorage::q8, DType::F32},     {apr::kOldQ4, AprStorage::q4, DType::F32},
        {apr::kOldQ8, AprStorage::q8, DType::F32},
    };
    const auto bytes_of = [&](AprStorage storage, DType dtype) -> uint64_t {
        switch (storage) {
        case AprStorage::q4:
            return (elements + apr::kQ4Block - 1) / apr::kQ4Block * apr::kQ4BlockBytes;
        case AprStorage::q8: return sizeof(float) + elements;
        case AprStorage::u8: return elements;
        case AprStorage::plain: break;
        }
        const DTypeInfo &info = dtype_info(dtype);
        return elements % info.block_elements == 0 ? row_bytes(info, elements) : ~uint64_t(0);
    };
    for (const Meaning &meaning : kMeanings) {
        if (meaning.id != id || bytes_of(meaning.storage, meaning.dtype) != size) continue;
        tensor.storage = meaning.storage;
        tensor.dtype = meaning.dtype;
        return {};
    }
    const DTypeInfo *info = id < apr::kQ4 ? find_dtype(id) : nullptr;
    const bool is_known =
        info || std::ranges::find(kMeanings, id, &Meaning::id) != std::end(kMeanings);
    if (!is_known)
        return malformed("bad_tensor_type", "tensor '%s': expected a known element type, found %u",
                         printable(tensor.name).c_str(), id);
    if (info && tensor.dims.back() % info->block_elements != 0)
        return malformed("row_not_block_multiple",
                         "tensor '%s': expected rows of a multiple of %" PRIu32
                         " elements for %s, found %" PRId64,
                         printable(tensor.name).c_str(), info->block_elements, info->name,
                         tensor.dims.back());
    if (!info || bytes_of(AprStorage::plain, info->dtype) != size)
        return malformed("size_mismatch",
                         "tensor '%s': expected as many bytes as %" PRIu64
                         " elements of type %u have, found %" PRIu64,
                         printable(tensor.name).c_str(), elements, id, size);
    tensor.dtype = info->dtype;
    return {};
}

class IndexReader {
  public:
    IndexReader(Bytes file, const Header &header) : file_(file), header_(header) {}

    Result<std::vector<AprTensor>> run() {
        const uint64_t size = header_.data_offset - header_.index_offset;
        index_ = file_.subspan(header_.index_offset, size);
        constexpr uint64_t kMinEntry = 2 + 1 + 1 + 1 + 8 + 8 + 8;
        if (header_.tensors > AprLimits::kTensors || header_.tensors > size / kMinEntry)
            return malformed("count_exceeds_file",
                             "expected at most %" PRIu64 " tensors in an index of %" PRIu64
                             " bytes, found %" PRIu32,
                             std::min(size / kMinEntry, AprLimits::kTensors), size,
                             header_.tensors);
        std::vector<AprTensor> tensors(header_.tensors);
        for (size_t i = 0; i < tensors.size(); ++i) {
            RZ_TRY(read(tensors[i]));
            if (i == 0 || tensors[i - 1].name < tensors[i].name) continue;
            return malformed(
                tensors[i - 1].name == tensors[i].name ? "duplicate_tensor" : "unsorted_index",
                "expected tensors by rising name, found '%s' after '%s'",
                printable(tensors[i].name).c_str(), printable(tensors[i - 1].name).c_str());
        }
        return tensors;
    }

  private:
    template <class T>
    bool take(T &value) {
        if (index_.size() - at_ < sizeof value) return false;
        value = number_at<T>(index_, at_);
        at_ += sizeof value;
        return true;
    }
    Error truncated() const {
        return malformed("truncated_index", "byte %" PRIu64 ": expected more of the tensor index",
                         header_.index_offset + at_);
    }

    Status read_name(AprTensor &tensor) {
        uint16_t size = 0;
        if (!take(size)) return truncated();
        if (size == 0 || size > AprLimits::kNameBytes)
            return malformed("name_too_long", "expected a tensor name of 1 to 256 bytes, found %u",
                             size);
        if (index_.size() - at_ < size) return truncated();
        tensor.name = text_of(index_.subspan(at_, size));
        at_ += size;
        if (printable(tensor.name, size) == tensor.name) return {};
        return malformed("bad_name", "expected a name of UTF-8 without control bytes, found '%s'",
                         printable(tensor.name).c_str());
    }

    Status read_dims(AprTensor &tensor) {
        const std::string name = printable(tensor.name);
        uint8_t rank = 0;
        if (!take(rank)) return truncated();
        if (rank > AprLimits::kRank)
            return malformed("too_many_dims",
                             "tensor '%s': expected at most 8 dimensions, found %u", name.c_str(),
                             rank);
        uint64_t elements = 1;
        for (uint8_t i = 0; i < rank; ++i) {
            uint64_t dim = 0;
            if (!take(dim)) return truncated();
            if (dim == 0 || __builtin_mul_overflow(elements, dim, &elements) ||
                elements > uint64_t(1) << 60)
                return malformed("bad_dim",
                                 "tensor '%s': expected dimensions of at least 1 with a product of "
                                 "at most 2^60, found %" PRIu64,
                                 name.c_str(), dim);
            tensor.dims.push_back(static_cast<int64_t>(dim));
        }
        if (rank == 0) tensor.dims.push_back(1);
        return {};
    }

    Status read(AprTensor &tensor) {
        uint8_t type = 0;
        RZ_TRY(read_name(tensor));
        if (!take(type)) return truncated();
        RZ_TRY(read_dims(tensor));
        uint64_t offset = 0, size = 0;
        if (!take(offset) || !take(size)) return truncated();
        const uint64_t space = file_.size() - header_.data_offset;
        if (offset % apr::kAlignment != 0 || offset > space || size > space - offset)
            return malformed("bad_offset",
                             "tensor '%s': expected a multiple of 64 within the %" PRIu64
                             " bytes of data, found offset %" PRIu64 " and %" PRIu64 " bytes",
                             printable(tensor.name).c_str(), space, offset, size);
        tensor.file_offset = header_.data_offset + offset;
        tensor.data = file_.subspan(tensor.file_offset, size);
        return find_type(type, tensor.elements(), size, tensor);
    }

    Bytes file_, index_;
    const Header &header_;
    uint64_t at_ = 0;
};

// Tensors lie apart from each other, and the checksum at the end, where there is one, holds.
Status check_data(Bytes file, uint64_t data_offset, const std::vector<AprTensor> &tensors) {
    std::vector<uint32_t> order(tensors.size());
    std::iota(order.begin(), order.end(), 0u);
    std::ranges::sort(order, {}, [&](uint32_t i) { return tensors[i].file_offset; });
    uint64_t end = data_offset;
    for (const uint32_t i : order) {
        const AprTensor &tensor = tensors[i];
        if (tensor.file_offset < end)
            return malformed("overlap",
                             "tensor '%s': expected data of its own, found that of "
                             "another tensor",
                             printable(tensor.name).c_str());
        end = tensor.file_offset + tensor.data.size();
    }
    const uint64_t whole = apr::padded(end);
    if (file.size() == end || file.size() == whole) return {};
    if (file.size() != whole + apr::kFooterBytes)
        return malformed("bad_size",
                         "expected an end at byte %" PRIu64 ", with or without a checksum, found a "
                         "file of %zu bytes",
                         whole, file.size());
    const uint32_t expected = Crc32::of(file.first(whole));
    const auto found = number_at<uint32_t>(file, whole);
    if (expected == found) return {};
    return malformed("bad_footer_crc",
                     "expected the checksum 0x%08" PRIX32 " at the end, found 0x%08" PRIX32,
                     expected, found);
}

} // namespace

uint64_t AprTensor::elements() const {
    uint64_t count = 1;
    for (const int64_t dim : dims)
        count *= static_cast<uint64_t>(dim);
    return count;
}

bool is_apr(std::span<const std::byte> bytes) {
    const std::string_view text = text_of(bytes);
    return text.starts_with(std::string_view("APR\0", 4)) || text.starts_with("APR2");
}

bool is_apr_v1(std::span<const std::byte> bytes) { return text_of(bytes).starts_with("APRN"); }

Result<AprContents> parse_apr(std::span<const std::byte> bytes, const AprOptions &options) {
    AprContents contents;
    RZ_ASSIGN(const Header header, read_header(bytes, options));
    RZ_TRY(check_flags(header.flags));
    RZ_TRY(unpack(header, bytes, contents));
    contents.minor = header.minor;
    contents.flags = header.flags;
    if (header.metadata_size > AprLimits::kMetadataBytes)
        return malformed("metadata_too_large", "expected at most %" PRIu64 " bytes, found %" PRIu32,
                         AprLimits::kMetadataBytes, header.metadata_size);
    RZ_TRY(check_place("metadata", header.metadata_offset, header.metadata_size, bytes));
    RZ_TRY(check_place("data", header.data_offset, 0, bytes));
    if (header.index_offset > header.data_offset)
        return malformed("bad_offset", "expected the index before the data, found it at %" PRIu64,
                         header.index_offset);
    RZ_TRY(check_place("index", header.index_offset, 0, bytes));
    const JsonLimits limits{.values = AprLimits::kMetadataValues};
    const Bytes metadata = bytes.subspan(header.metadata_offset, header.metadata_size);
    auto json = parse_json(text_of(metadata), limits);
    if (!json) return std::move(json).error().within("metadata");
    if (!json->is_object())
        return malformed("bad_metadata", "metadata: expected a JSON object, found %s",
                         json->type_name());
    contents.metadata = std::move(*json);
    RZ_ASSIGN(contents.tensors, IndexReader(bytes, header).run());
    RZ_TRY(check_data(bytes, header.data_offset, contents.tensors));
    return contents;
}

Status decode_apr(const AprTensor &tensor, uint64_t begin, std::span<float> out) {
    const uint64_t elements = tensor.elements();
    if (begin > elements || out.size() > elements - begin)
        return make_error(Code::invalid_argument, "size_mismatch",
                          "expected at most %" PRIu64 " elements, found %zu from %" PRIu64,
                          elements, out.size(), begin);
    const std::byte *data = tensor.data.data();
    switch (tensor.storage) {
    case AprStorage::q4:
        for (uint64_t i = 0; i < out.size(); ++i) {
            const uint64_t at = begin + i, block = at / apr::kQ4Block * apr::kQ4BlockBytes;
            const float scale = f16_to_f32(number_at<uint16_t>(tensor.data, block));
            const auto pair = std::to_integer<int>(data[block + 2 + at % apr::kQ4Block / 2]);
            out[i] = static_cast<float>((at % 2 ? pair >> 4 : pair & 15) - 8) * scale;
        }
        return {};
    case AprStorage::q8:
        for (uint64_t i = 0; i < out.size(); ++i)
            out[i] = number_at<float>(tensor.data, 0) *
                     static_cast<float>(number_at<int8_t>(tensor.data, sizeof(float) + begin + i));
        return {};
    case AprStorage::u8:
        for (uint64_t i = 0; i < out.size(); ++i)
            out[i] = static_cast<float>(std::to_integer<int>(data[begin + i]));
        return {};
    case AprStorage::plain: break;
    }
    const DTypeInfo &info = dtype_info(tensor.dtype);
    const Codec *codec = find_codec(tensor.dtype);
    if (!codec || begin % info.block_elements != 0 || out.size() % info.block_elements != 0)
        return make_error(Code::unsupported, "no_codec", "cannot decode a part of %s", info.name);
    codec->decode(data + row_bytes(info, begin), out.data(), out.size());
    return {};
}

} // namespace realizar
