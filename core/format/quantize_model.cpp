#include "core/format/quantize_model.h"

#include "core/quant/codec.h"

#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cmath>

namespace realizar {
namespace {

constexpr uint32_t kQuantizationVersion = 2;

// Work is handed out in pieces of this many elements, a multiple of every block; a batch of pieces
// is held as float32 and in the new type at once: 64 * 64 Ki * 8 bytes = 32 MiB.
constexpr uint64_t kPiece = 65536, kBatch = 64;

// Column weights of the matrices of one tensor; none: all errors count alike.
struct Steering {
    std::vector<std::vector<float>> matrices;
    uint64_t elements = 0; // of one matrix

    // Of the element at `index` and those behind it in its row.
    const float *at(uint64_t index) const {
        if (matrices.empty()) return nullptr;
        const auto &columns = matrices[matrices.size() == 1 ? 0 : index / elements];
        return columns.data() + index % columns.size();
    }
};

Result<Steering> steering_for(const GgufTensor &tensor, const ImportanceMatrix *importance) {
    Steering steering;
    const ImportanceEntry *entry = importance ? importance->find(tensor.name) : nullptr;
    if (entry == nullptr || tensor.dims.size() < 2) return steering;
    const auto columns = static_cast<uint64_t>(tensor.dims.back());
    const uint64_t matrices = tensor.dims.size() > 2 ? static_cast<uint64_t>(tensor.dims[0]) : 1;
    ImportanceEntry apart; // of files that have the experts in one row
    if (entry->matrices() == 1 && matrices > 1 && entry->columns == matrices * columns) {
        apart = {columns, entry->squares, std::vector<double>(matrices, entry->counts[0])};
        entry = &apart;
    }
    if (entry->columns != columns || (entry->matrices() != matrices && entry->matrices() != 1))
        return make_error(Code::invalid_argument, "importance_mismatch",
                          "tensor '%s': expected an importance of %" PRIu64 " matrices of %" PRIu64
                          " columns, found %" PRIu64 " of %" PRIu64,
                          printable(tensor.name).c_str(), matrices, columns, entry->matrices(),
                          entry->columns);
    steering.elements = columns * static_cast<uint64_t>(tensor.dims[tensor.dims.size() - 2]);
    for (uint64_t i = 0; i < entry->matrices(); ++i)
        steering.matrices.push_back(ImportanceMatrix::column_weights(*entry, i));
    return steering;
}

Error non_finite(std::string_view name) {
    return make_error(Code::malformed, "non_finite",
                      "tensor '%s': expected finite weights, found a NaN or Inf",
                      printable(name).c_str());
}

// Decodes, checks and encodes one tensor after the other through buffers that live across tensors.
class Transcoder {
  public:
    Transcoder(const QuantizeOptions &options, GgufWriter &writer)
        : options_(options), writer_(writer) {}

    Status run(const GgufTensor &tensor, DType to, const Steering &steering) {
        if (to == tensor.dtype) return writer_.write_tensor(tensor.data);
        const Codec *source = find_codec(tensor.dtype), *sink = find_codec(to);
        const DTypeInfo &from_info = dtype_info(tensor.dtype), &to_info = dtype_info(to);
        const uint64_t elements =
            tensor.data.size() / from_info.block_bytes * from_info.block_elements;
        const auto row = static_cast<uint64_t>(tensor.dims.back());
        for (uint64_t start = 0; start < elements; start += kPiece * kBatch) {
            const uint64_t batch = std::min(kPiece * kBatch, elements - start);
            values_.resize(std::max<size_t>(values_.size(), batch));
            encoded_.resize(std::max<size_t>(encoded_.size(), row_bytes(to_info, batch)));
            std::atomic<bool> finite{true};
            const auto piece = [&](uint64_t i) {
                const uint64_t first = i * kPiece, count = std::min(kPiece, batch - first);
                const std::span values(values_.data() + first, count);
                source->decode(tensor.data.data() + row_bytes(from_info, start + first),
                               values.data(), count);
                if (!std::ranges::all_of(values, [](float v) { return std::isfinite(v); }))
                    finite = false;
                encode(*sink, values, start + first, row, steering,
                       encoded_.data() + row_bytes(to_info, first));
            };
            for_each((batch + kPiece - 1) / kPiece, piece);
            if (!finite) return non_finite(tensor.name);
            RZ_TRY(writer_.write_tensor(std::span(encoded_).first(row_bytes(to_info, batch))));
        }
        return {};
    }

  private:
    // Values from element `index` of the tensor on; rows are whole blocks, pieces may cut rows.
    static void encode(const Codec &codec, std::span<const float> values, uint64_t index,
                       uint64_t row, const Steering &steering, std::byte *out) {
        if (steering.matrices.empty())
            return codec.encode(values.data(), nullptr, out, values.size());
        while (!values.empty()) {
            const uint64_t count = std::min<uint64_t>(values.size(), row - index % row);
            codec.encode(values.data(), steering.at(index), out, count);
            values = values.subspan(count);
            index += count;
            out += row_bytes(codec.dtype, count);
        }
    }

    void for_each(uint64_t count, const std::function<void(uint64_t)> &body) const {
        if (options_.parallel_for) return options_.parallel_for(count, body);
        for (uint64_t i = 0; i < count; ++i)
            body(i);
    }

    const QuantizeOptions &options_;
    GgufWriter &writer_;
    std::vector<float> values_;
    std::vector<std::byte> encoded_;
};

} // namespace

Status quantize_model(const GgufFile &in, const std::filesystem::path &out,
                      const QuantizeTarget &target, const QuantizeOptions &options) {
    RZ_ASSIGN(const auto shards, in.get_u32("split.count"));
    if (shards.value_or(1) > 1)
        return make_error(Code::unsupported, "split_model",
                          "%s: expected a model in one file, found one of %u parts",
                          in.label().c_str(), *shards);
    GgufWriter writer;
    for (const GgufEntry &entry : in.entries())
        writer.copy(entry);
    writer.set_u32("general.file_type", target.file_type);
    writer.set_u32("general.quantization_version", kQuantizationVersion);

    MixFacts facts = mix_facts(in);
    facts.importance = options.importance != nullptr;
    std::vector<QuantizedTensor> choices;
    for (const GgufTensor &tensor : in.tensors()) {
        const TypeChoice choice = choose_type(tensor, target, options.overrides, facts);
        choices.push_back({tensor.name, tensor.dtype, choice.wanted, choice.to, false, 0, 0, 0});
        writer.add_tensor(std::string(tensor.name), choice.to, tensor.dims);
    }
    RZ_TRY(writer.begin(out));
    Transcoder transcoder(options, writer);
    for (size_t i = 0; i < choices.size(); ++i) {
        if (options.cancelled && options.cancelled())
            return make_error(Code::cancelled, "cancelled", "quantising was cancelled");
        const GgufTensor &tensor = in.tensors()[i];
        RZ_ASSIGN(const Steering steering, steering_for(tensor, options.importance));
        RZ_TRY(transcoder.run(tensor, choices[i].to, steering));
        in.drop_pages(tensor.data);
        choices[i].importance = !steering.matrices.empty();
        choices[i].index = i;
        choices[i].count = choices.size();
        const DTypeInfo &from = dtype_info(tensor.dtype);
        choices[i].bytes =
            row_bytes(choices[i].to, tensor.data.size() / from.block_bytes * from.block_elements);
        if (options.on_tensor) options.on_tensor(choices[i]);
    }
    RZ_TRY(in.verify_unchanged());
    return writer.finish();
}

} // namespace realizar
