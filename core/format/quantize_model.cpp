#include "core/format/quantize_model.h"

#include "core/quant/codec.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <charconv>
#include <cmath>

namespace realizar {
namespace {

// general.file_type as published with the format.
constexpr QuantizeTarget kTargets[] = {
    {"F32", DType::F32, DType::F32, 0},           {"F16", DType::F16, DType::F16, 1},
    {"BF16", DType::BF16, DType::BF16, 32},       {"Q8_0", DType::Q8_0, DType::Q8_0, 7},
    {"Q4_0", DType::Q4_0, DType::Q4_0, 2},        {"Q4_1", DType::Q4_1, DType::Q4_1, 3},
    {"Q5_0", DType::Q5_0, DType::Q5_0, 8},        {"Q5_1", DType::Q5_1, DType::Q5_1, 9},
    {"Q2_K", DType::Q2_K, DType::Q2_K, 10},       {"Q3_K", DType::Q3_K, DType::Q3_K, 11},
    {"Q4_K", DType::Q4_K, DType::Q4_K, 14},       {"Q4_K_M", DType::Q4_K, DType::Q6_K, 15},
    {"Q5_K", DType::Q5_K, DType::Q5_K, 16},       {"Q5_K_M", DType::Q5_K, DType::Q6_K, 17},
    {"Q6_K", DType::Q6_K, DType::Q6_K, 18},       {"IQ4_NL", DType::IQ4_NL, DType::IQ4_NL, 25},
    {"IQ4_XS", DType::IQ4_XS, DType::IQ4_XS, 30},
};

constexpr uint32_t kQuantizationVersion = 2;

// Work is handed out in pieces of this many elements, a multiple of every block; a batch of pieces
// is held as float32 and in the new type at once: 64 * 64 Ki * 8 bytes = 32 MiB.
constexpr uint64_t kPiece = 65536, kBatch = 64;

// Small matrices whose rounding changes more than their size is worth.
constexpr std::string_view kKept[] = {"ffn_gate_inp", "position_embd", "token_types", "ssm_conv1d"};

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

// N of "blk.N.…".
std::optional<uint32_t> layer_of(std::string_view name) {
    constexpr std::string_view kPrefix = "blk.";
    if (!name.starts_with(kPrefix)) return std::nullopt;
    uint32_t layer = 0;
    const char *begin = name.data() + kPrefix.size(), *end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(begin, end, layer);
    if (error != std::errc() || stop == end || *stop != '.') return std::nullopt;
    return layer;
}

// What the choice of a type depends on besides the tensor itself.
struct ModelShape {
    uint32_t layers = 0;
    bool tied = true; // no output matrix: the embedding serves as one
};

ModelShape shape_of(const GgufFile &file) {
    ModelShape shape;
    shape.tied = file.find_tensor("output.weight") == nullptr;
    for (const GgufTensor &tensor : file.tensors())
        if (const auto layer = layer_of(tensor.name))
            shape.layers = std::max(shape.layers, *layer == UINT32_MAX ? *layer : *layer + 1);
    return shape;
}

// The first and last eighth of the layers, and every third between: the usual "M" mix.
bool gets_more_bits(uint32_t layer, uint32_t layers) {
    const uint32_t eighth = layers / 8;
    return layer < eighth || layer >= 7 * uint64_t(layers) / 8 || (layer - eighth) % 3 == 2;
}

DType wanted_type(const GgufTensor &tensor, const QuantizeTarget &target, const ModelShape &shape) {
    if (tensor.name == "output.weight") return target.more;
    if (tensor.name == "token_embd.weight") return shape.tied ? target.more : target.base;
    const auto layer = layer_of(tensor.name);
    if (!layer || !(contains(tensor.name, ".attn_v.") || contains(tensor.name, ".ffn_down")))
        return target.base;
    return gets_more_bits(*layer, shape.layers) ? target.more : target.base;
}

DType fitting_type(DType wanted, int64_t row) {
    if (row % dtype_info(wanted).block_elements == 0) return wanted;
    return row % dtype_info(DType::Q8_0).block_elements == 0 ? DType::Q8_0 : DType::F16;
}

QuantizedTensor choose(const GgufTensor &tensor, const QuantizeTarget &target,
                       const ModelShape &shape) {
    QuantizedTensor choice{tensor.name, tensor.dtype, tensor.dtype, tensor.dtype, 0, 0, 0};
    const bool is_float = tensor.dtype < DType::I8 || tensor.dtype > DType::I64;
    const auto is_part = [&](std::string_view part) { return contains(tensor.name, part); };
    if (!is_float || std::ranges::any_of(kKept, is_part)) return choice;
    const auto larger_than_1 = std::ranges::count_if(tensor.dims, [](int64_t d) { return d > 1; });
    if (tensor.dims.size() == 1 || larger_than_1 <= 1) {
        choice.wanted = choice.to = DType::F32;
        return choice;
    }
    choice.wanted = wanted_type(tensor, target, shape);
    choice.to = fitting_type(choice.wanted, tensor.dims.back());
    return choice;
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

    Status run(const GgufTensor &tensor, DType to) {
        if (to == tensor.dtype) return writer_.write_tensor(tensor.data);
        const Codec *source = find_codec(tensor.dtype), *sink = find_codec(to);
        const DTypeInfo &from_info = dtype_info(tensor.dtype), &to_info = dtype_info(to);
        const uint64_t elements =
            tensor.data.size() / from_info.block_bytes * from_info.block_elements;
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
                sink->encode(values.data(), nullptr, encoded_.data() + row_bytes(to_info, first),
                             count);
            };
            for_each((batch + kPiece - 1) / kPiece, piece);
            if (!finite) return non_finite(tensor.name);
            RZ_TRY(writer_.write_tensor(std::span(encoded_).first(row_bytes(to_info, batch))));
        }
        return {};
    }

  private:
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

Status check_codecs(const QuantizedTensor &choice) {
    if (choice.from == choice.to) return {};
    if (find_codec(choice.from) == nullptr)
        return make_error(Code::unsupported, "no_codec",
                          "tensor '%s': expected a type that can be decoded, found %s",
                          printable(choice.name).c_str(), dtype_info(choice.from).name);
    return {};
}

} // namespace

std::span<const QuantizeTarget> quantize_targets() { return kTargets; }

const QuantizeTarget *find_quantize_target(std::string_view name) {
    const auto upper = [](unsigned char c) { return std::toupper(c); };
    const auto same = [&](const QuantizeTarget &target) {
        return std::ranges::equal(name, std::string_view(target.name), {}, upper, upper);
    };
    const auto row = std::ranges::find_if(kTargets, same);
    return row == std::end(kTargets) ? nullptr : row;
}

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

    const ModelShape shape = shape_of(in);
    std::vector<QuantizedTensor> choices;
    for (const GgufTensor &tensor : in.tensors()) {
        choices.push_back(choose(tensor, target, shape));
        RZ_TRY(check_codecs(choices.back()));
        writer.add_tensor(std::string(tensor.name), choices.back().to, tensor.dims);
    }
    RZ_TRY(writer.begin(out));
    Transcoder transcoder(options, writer);
    for (size_t i = 0; i < choices.size(); ++i) {
        if (options.cancelled && options.cancelled())
            return make_error(Code::cancelled, "cancelled", "quantising was cancelled");
        const GgufTensor &tensor = in.tensors()[i];
        RZ_TRY(transcoder.run(tensor, choices[i].to));
        in.drop_pages(tensor.data);
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
