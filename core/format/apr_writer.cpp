#include "core/format/apr.h"

#include "core/common/crc32.h"
#include "core/format/apr_layout.h"
#include "core/format/file_writer.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

namespace realizar {
namespace {

Error usage(const char *tag, const std::string &message) {
    return make_error(Code::invalid_argument, tag, "%s", message.c_str());
}

template <class T>
void append(std::string &out, T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    out.append(bytes, sizeof value);
}

struct Planned {
    std::string name;
    DType dtype;
    std::vector<int64_t> dims;
    uint64_t bytes = 0, offset = 0;
};

Status measure(Planned &tensor) {
    const DTypeInfo &info = dtype_info(tensor.dtype);
    const std::string who = "tensor '" + printable(tensor.name) + "': ";
    if (tensor.name.empty() || tensor.name.size() > AprLimits::kNameBytes ||
        printable(tensor.name, tensor.name.size()) != tensor.name)
        return usage("bad_name", who + "expected 1 to 256 bytes of UTF-8 without control bytes");
    if (tensor.dims.empty() || tensor.dims.size() > AprLimits::kRank)
        return usage("too_many_dims", who + "expected 1 to 8 dimensions, found " +
                                          std::to_string(tensor.dims.size()));
    uint64_t elements = 1;
    for (const int64_t dim : tensor.dims)
        if (dim <= 0 || __builtin_mul_overflow(elements, static_cast<uint64_t>(dim), &elements) ||
            elements > uint64_t(1) << 60)
            return usage("bad_dim",
                         who + "expected dimensions of at least 1, found " + std::to_string(dim));
    if (tensor.dims.back() % info.block_elements != 0)
        return usage("row_not_block_multiple",
                     who + "expected rows of whole blocks of " + info.name);
    if (static_cast<uint32_t>(tensor.dtype) >= apr::kQ4)
        return usage("bad_tensor_type", who + "expected a type that APR has, found " + info.name);
    tensor.bytes = row_bytes(info, elements);
    return {};
}

// The format's own id where it has one that is not GGML's.
uint8_t type_id(DType dtype) {
    switch (dtype) {
    case DType::F64: return apr::kF64;
    case DType::I32: return apr::kI32;
    case DType::I64: return apr::kI64;
    case DType::I8: return apr::kI8;
    default: return static_cast<uint8_t>(dtype);
    }
}

} // namespace

struct AprWriter::State {
    std::string metadata;
    uint16_t flags = 0;
    std::vector<Planned> tensors;
    FileWriter file;
    Crc32 crc;
    size_t current = 0;
    uint64_t written = 0; // of the current tensor

    Status lay_out() {
        if (metadata.size() > AprLimits::kMetadataBytes)
            return usage("metadata_too_large", "expected at most 16 MiB of metadata, found " +
                                                   std::to_string(metadata.size()) + " bytes");
        if (tensors.size() > AprLimits::kTensors)
            return usage("too_many_tensors",
                         "expected at most 65536 tensors, found " + std::to_string(tensors.size()));
        uint64_t offset = 0;
        for (Planned &tensor : tensors) {
            RZ_TRY(measure(tensor));
            tensor.offset = offset;
            offset += apr::padded(tensor.bytes);
            if (offset > uint64_t(1) << 62)
                return usage("total_overflow", "expected at most 2^62 bytes");
        }
        return {};
    }

    Result<std::string> index() const {
        std::vector<uint32_t> order(tensors.size());
        std::iota(order.begin(), order.end(), 0u);
        std::ranges::sort(order, {},
                          [&](uint32_t i) -> const std::string & { return tensors[i].name; });
        std::string out;
        for (size_t i = 0; i < order.size(); ++i) {
            const Planned &tensor = tensors[order[i]];
            if (i > 0 && tensors[order[i - 1]].name == tensor.name)
                return usage("duplicate_tensor", "expected each tensor once, found '" +
                                                     printable(tensor.name) + "' again");
            append(out, static_cast<uint16_t>(tensor.name.size()));
            out += tensor.name;
            append(out, type_id(tensor.dtype));
            append(out, static_cast<uint8_t>(tensor.dims.size()));
            for (const int64_t dim : tensor.dims)
                append(out, static_cast<uint64_t>(dim));
            append(out, tensor.offset);
            append(out, tensor.bytes);
        }
        return out;
    }

    std::string header(uint64_t index_offset, uint64_t data_offset) const {
        std::string out("APR\0\2\0", 6);
        append(out, static_cast<uint16_t>(flags | apr::kRowMajor));
        append(out, static_cast<uint32_t>(tensors.size()));
        append(out, apr::kHeaderBytes);
        append(out, static_cast<uint32_t>(metadata.size()));
        append(out, index_offset);
        append(out, data_offset);
        const std::string zeros(apr::kHeaderBytes - apr::kCrcOffset - 4, '\0');
        const std::string covered = out + zeros;
        append(out, Crc32::of(std::as_bytes(std::span(covered))));
        return out + zeros;
    }

    Status write(std::span<const std::byte> bytes) {
        crc.add(bytes);
        return file.write(bytes);
    }
    Status pad(uint64_t zeros) {
        static constexpr std::byte kZeros[apr::kAlignment] = {};
        return write(std::span(kZeros).first(zeros));
    }
};

AprWriter::AprWriter(nlohmann::json metadata, uint16_t flags) : state_(std::make_unique<State>()) {
    state_->metadata = metadata.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    state_->flags = flags;
}
AprWriter::~AprWriter() = default;
AprWriter::AprWriter(AprWriter &&) noexcept = default;

void AprWriter::add_tensor(std::string name, DType dtype, std::vector<int64_t> dims) {
    state_->tensors.push_back({std::move(name), dtype, std::move(dims)});
}

Status AprWriter::begin(const std::filesystem::path &path) {
    State &state = *state_;
    if (state.file.is_open()) return usage("writer_order", "expected begin() once");
    RZ_TRY(state.lay_out());
    RZ_ASSIGN(std::string index, state.index());
    const uint64_t index_offset = apr::kHeaderBytes + apr::padded(state.metadata.size());
    const uint64_t data_offset = index_offset + apr::padded(index.size());
    std::string head = state.header(index_offset, data_offset) + state.metadata;
    head.resize(index_offset, '\0');
    head += index;
    head.resize(data_offset, '\0');
    RZ_TRY(state.file.create(path));
    return state.write(std::as_bytes(std::span(head)));
}

Status AprWriter::write_tensor(std::span<const std::byte> data) {
    State &state = *state_;
    if (!state.file.is_open() || state.current == state.tensors.size())
        return usage("writer_order",
                     "expected begin() before tensor data, and none after the last");
    const Planned &tensor = state.tensors[state.current];
    if (data.size() > tensor.bytes - state.written)
        return usage("data_too_long", "tensor '" + printable(tensor.name) + "': expected " +
                                          std::to_string(tensor.bytes - state.written) +
                                          " more bytes, found " + std::to_string(data.size()));
    RZ_TRY(state.write(data));
    state.written += data.size();
    if (state.written < tensor.bytes) return {};
    state.written = 0;
    ++state.current;
    return state.pad(apr::padded(tensor.bytes) - tensor.bytes);
}

Status AprWriter::finish() {
    State &state = *state_;
    if (!state.file.is_open() || state.current != state.tensors.size())
        return usage("writer_order", "expected all " + std::to_string(state.tensors.size()) +
                                         " tensors before finish(), found " +
                                         std::to_string(state.current));
    const uint32_t crc = state.crc.value();
    RZ_TRY(state.file.write(std::as_bytes(std::span(&crc, 1))));
    return state.file.finish();
}

} // namespace realizar
