#include "core/format/convert_hf.h"

#include "core/format/hf_config.h"
#include "core/format/hf_tokenizer.h"
#include "core/format/mapping.h"
#include "core/format/safetensors.h"
#include "core/quant/codec.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>
#include <numbers>
#include <unordered_set>

namespace realizar {
namespace {

constexpr uint64_t kMaxConfig = uint64_t(4) << 20;
constexpr uint64_t kChunkBytes = uint64_t(4) << 20; // float32 values held at once

// One tensor of the output and where it comes from: `source`, or else `values`.
struct Planned {
    std::string name;
    const SafetensorsFolder::Item *source = nullptr;
    DType dtype = DType::F32;
    bool reorders_rows = false;
    float offset = 0; // added to each element
    std::vector<float> values = {};
};

class Converter {
  public:
    Converter(const HfConfig &config, const SafetensorsFolder &weights,
              const ConvertOptions &options)
        : config_(config), weights_(weights), options_(options) {}

    Status plan();
    void describe(const std::string &name);
    Status write(const std::filesystem::path &folder, const std::filesystem::path &out);

  private:
    int64_t extent(HfSize size) const;
    Status plan_tensor(const HfMapping &mapping, const std::string &from, const std::string &to,
                       const char *suffix, bool required);
    Status plan_both(const HfMapping &mapping, const std::string &from, const std::string &to);
    void plan_values(const char *name, std::vector<float> values);
    Status check_leftovers() const;
    std::vector<float> rope_factors() const;
    void describe_rope(const std::string &prefix);
    uint32_t file_type() const;
    Status copy_tensor(const Planned &planned);

    const HfConfig &config_;
    const SafetensorsFolder &weights_;
    const ConvertOptions &options_;
    std::vector<Planned> plan_;
    GgufWriter writer_;
};

int64_t Converter::extent(HfSize size) const {
    switch (size) {
    case HfSize::one: return 1;
    case HfSize::width: return config_.width;
    case HfSize::feed_forward: return config_.feed_forward;
    case HfSize::two_feed_forwards: return int64_t(config_.feed_forward) * 2;
    case HfSize::queries: return int64_t(config_.heads) * config_.head_width;
    case HfSize::keys: return int64_t(config_.kv_heads) * config_.head_width;
    case HfSize::queries_keys_values:
        return (int64_t(config_.heads) + 2 * int64_t(config_.kv_heads)) * config_.head_width;
    case HfSize::head: return config_.head_width;
    case HfSize::vocabulary: return config_.vocabulary;
    }
    return 0;
}

std::string shape_text(const std::vector<int64_t> &dims) {
    std::string text;
    for (const int64_t dim : dims)
        text += (text.empty() ? "[" : ", ") + std::to_string(dim);
    return text + "]";
}

Status Converter::plan_tensor(const HfMapping &mapping, const std::string &from,
                              const std::string &to, const char *suffix, bool required) {
    const auto *source = weights_.find(from + suffix);
    if (source == nullptr) {
        if (!required) return {};
        return make_error(Code::malformed, "missing_tensor", "expected tensor '%s%s', found none",
                          from.c_str(), suffix);
    }
    std::vector<int64_t> dims{extent(mapping.rows)};
    const bool is_matrix = mapping.columns != HfSize::one && std::string_view(suffix) == ".weight";
    if (is_matrix) dims.push_back(extent(mapping.columns));
    if (source->tensor->dims != dims)
        return make_error(Code::malformed, "shape_mismatch",
                          "tensor '%s%s': expected shape %s by config.json, found %s", from.c_str(),
                          suffix, shape_text(dims).c_str(),
                          shape_text(source->tensor->dims).c_str());
    Planned planned{to + suffix, source};
    planned.reorders_rows = mapping.order != HfRows::as_stored;
    if (mapping.columns == HfSize::one) planned.offset = config_.family->norm_offset;
    if (is_matrix) planned.dtype = options_.dtype.value_or(source->tensor->dtype);
    writer_.add_tensor(planned.name, planned.dtype, dims);
    plan_.push_back(std::move(planned));
    return {};
}

Status Converter::plan_both(const HfMapping &mapping, const std::string &from,
                            const std::string &to) {
    RZ_TRY(plan_tensor(mapping, from, to, ".weight", true));
    if (mapping.bias == HfBias::none) return {};
    return plan_tensor(mapping, from, to, ".bias", mapping.bias == HfBias::required);
}

// Every tensor of the folder must have been used, but for what follows from the config anyway.
Status Converter::check_leftovers() const {
    std::unordered_set<const SafetensorsFolder::Item *> used;
    for (const Planned &planned : plan_)
        used.insert(planned.source);
    for (const SafetensorsFolder::Item &item : weights_.items()) {
        const std::string &name = item.tensor->name;
        if (used.contains(&item)) continue;
        if (name.ends_with(".rotary_emb.inv_freq")) continue;
        if (config_.tied && name == "lm_head.weight") continue;
        return make_error(Code::unsupported, "unexpected_tensor",
                          "expected the tensors of a %s model, found '%s' too",
                          config_.family->architecture, printable(name).c_str());
    }
    return {};
}

void Converter::plan_values(const char *name, std::vector<float> values) {
    writer_.add_tensor(name, DType::F32, {static_cast<int64_t>(values.size())});
    Planned planned{name};
    planned.values = std::move(values);
    plan_.push_back(std::move(planned));
}

Status Converter::plan() {
    using Scaling = HfConfig::RopeScaling;
    if (config_.rope.scaling == Scaling::llama3) plan_values("rope_freqs.weight", rope_factors());
    if (config_.rope.scaling == Scaling::longrope) {
        plan_values("rope_factors_long.weight", config_.rope.long_factors);
        plan_values("rope_factors_short.weight", config_.rope.short_factors);
    }
    for (const HfMapping &mapping : hf_model_mappings()) {
        if (config_.tied && std::string_view(mapping.source) == "lm_head") continue;
        RZ_TRY(plan_both(mapping, mapping.source, mapping.target));
    }
    for (uint32_t layer = 0; layer < config_.layers; ++layer) {
        const std::string number = std::to_string(layer) + ".";
        for (const HfMapping &mapping : config_.family->layer)
            RZ_TRY(plan_both(mapping, "model.layers." + number + mapping.source,
                             "blk." + number + mapping.target));
    }
    return check_leftovers();
}

// Divisors of the RoPE frequencies as Llama 3.1 has them: long waves are slowed by `factor`, short
// ones kept, those between blended.
std::vector<float> Converter::rope_factors() const {
    const HfConfig::Rope &rope = config_.rope;
    std::vector<float> factors;
    for (uint32_t i = 0; i < config_.head_width / 2; ++i) {
        const double frequency = std::pow(rope.base, -2.0 * i / config_.head_width);
        const double waves = rope.original_context * frequency / (2 * std::numbers::pi);
        const double blend = std::clamp((waves - rope.low_freq_factor) /
                                            (rope.high_freq_factor - rope.low_freq_factor),
                                        0.0, 1.0);
        factors.push_back(static_cast<float>(1 / ((1 - blend) / rope.factor + blend)));
    }
    return factors;
}

void Converter::describe_rope(const std::string &prefix) {
    const HfConfig::Rope &rope = config_.rope;
    writer_.set_u32(prefix + "rope.dimension_count", rope.rotated);
    writer_.set_f32(prefix + "rope.freq_base", rope.base);
    using Scaling = HfConfig::RopeScaling;
    const std::string scaling = prefix + "rope.scaling.";
    switch (rope.scaling) {
    case Scaling::none:
    case Scaling::llama3: return; // a tensor says it
    case Scaling::linear: writer_.set_string(scaling + "type", "linear"); break;
    case Scaling::yarn: writer_.set_string(scaling + "type", "yarn"); break;
    case Scaling::longrope: break; // the tensors and the two keys below
    }
    if (rope.scaling != Scaling::longrope) writer_.set_f32(scaling + "factor", rope.factor);
    if (rope.scaling == Scaling::linear) return;
    writer_.set_u32(scaling + "original_context_length", rope.original_context);
    if (rope.attention_factor > 0) writer_.set_f32(scaling + "attn_factor", rope.attention_factor);
    if (rope.beta_fast > 0) writer_.set_f32(scaling + "yarn_beta_fast", rope.beta_fast);
    if (rope.beta_slow > 0) writer_.set_f32(scaling + "yarn_beta_slow", rope.beta_slow);
}

// general.file_type of the matrices: all of one type, or that of the embedding.
uint32_t Converter::file_type() const {
    DType dtype = options_.dtype.value_or(DType::F32);
    if (!options_.dtype) dtype = weights_.find("model.embed_tokens.weight")->tensor->dtype;
    return dtype == DType::F32 ? 0 : dtype == DType::F16 ? 1 : 32;
}

void Converter::describe(const std::string &name) {
    const std::string prefix = std::string(config_.family->architecture) + ".";
    writer_.set_string("general.architecture", config_.family->architecture);
    writer_.set_string("general.name", name);
    writer_.set_u32("general.file_type", file_type());
    writer_.set_u32(prefix + "context_length", config_.context);
    writer_.set_u32(prefix + "embedding_length", config_.width);
    writer_.set_u32(prefix + "block_count", config_.layers);
    writer_.set_u32(prefix + "feed_forward_length", config_.feed_forward);
    writer_.set_u32(prefix + "attention.head_count", config_.heads);
    writer_.set_u32(prefix + "attention.head_count_kv", config_.kv_heads);
    if (config_.head_width * config_.heads != config_.width) {
        writer_.set_u32(prefix + "attention.key_length", config_.head_width);
        writer_.set_u32(prefix + "attention.value_length", config_.head_width);
    }
    writer_.set_u32(prefix + "vocab_size", config_.vocabulary);
    writer_.set_f32(prefix + "attention.layer_norm_rms_epsilon", config_.norm_epsilon);
    if (config_.window > 0) writer_.set_u32(prefix + "attention.sliding_window", config_.window);
    if (config_.attention_scale > 0)
        writer_.set_f32(prefix + "attention.scale", config_.attention_scale);
    if (config_.attention_softcap > 0)
        writer_.set_f32(prefix + "attn_logit_softcapping", config_.attention_softcap);
    if (config_.logit_softcap > 0)
        writer_.set_f32(prefix + "final_logit_softcapping", config_.logit_softcap);
    describe_rope(prefix);
}

// Row of the stored matrix that becomes row `row`: within a head of width D, row 2 i + j was row
// j D / 2 + i.
uint64_t source_row(uint64_t row, uint64_t head_width, bool reorder) {
    if (!reorder) return row;
    const uint64_t head = row / head_width, i = row % head_width;
    return head * head_width + i % 2 * (head_width / 2) + i / 2;
}

Status Converter::copy_tensor(const Planned &planned) {
    if (planned.source == nullptr) {
        return writer_.write_tensor(std::as_bytes(std::span(planned.values)));
    }
    const SafeTensor &tensor = *planned.source->tensor;
    const uint64_t rows = static_cast<uint64_t>(tensor.dims[0]);
    const uint64_t columns = tensor.dims.size() > 1 ? static_cast<uint64_t>(tensor.dims[1]) : 1;
    const uint64_t row_size = tensor.data.size() / rows;
    const Codec *source = find_codec(tensor.dtype), *sink = find_codec(planned.dtype);
    const uint64_t batch = std::clamp<uint64_t>(kChunkBytes / (columns * sizeof(float)), 1, rows);
    std::vector<float> values(batch * columns);
    std::vector<std::byte> encoded(row_bytes(planned.dtype, values.size()));
    const auto is_finite = [](float v) { return std::isfinite(v); };
    for (uint64_t start = 0; start < rows; start += batch) {
        const uint64_t count = std::min(batch, rows - start);
        for (uint64_t i = 0; i < count; ++i) {
            const uint64_t row = source_row(start + i, config_.head_width, planned.reorders_rows);
            source->decode(tensor.data.data() + row * row_size, values.data() + i * columns,
                           columns);
        }
        const auto chunk = std::span(values).first(count * columns);
        if (planned.offset != 0)
            for (float &value : chunk)
                value += planned.offset;
        if (!std::ranges::all_of(chunk, is_finite))
            return make_error(Code::malformed, "non_finite",
                              "tensor '%s': expected finite weights, found a NaN or Inf",
                              printable(tensor.name).c_str());
        const auto bytes = std::span(encoded).first(row_bytes(planned.dtype, chunk.size()));
        sink->encode(chunk.data(), nullptr, bytes.data(), chunk.size());
        if (!all_finite(planned.dtype, bytes))
            return make_error(
                Code::unsupported, "f16_overflow",
                "tensor '%s': expected weights below 65520 for %s, found larger ones; "
                "choose BF16",
                printable(tensor.name).c_str(), dtype_info(planned.dtype).name);
        RZ_TRY(writer_.write_tensor(bytes));
    }
    planned.source->file->drop_pages(tensor.data);
    return {};
}

Status Converter::write(const std::filesystem::path &folder, const std::filesystem::path &out) {
    RZ_TRY(set_hf_tokenizer(folder, config_, writer_));
    RZ_TRY(writer_.begin(out));
    for (size_t i = 0; i < plan_.size(); ++i) {
        if (options_.cancelled && options_.cancelled())
            return make_error(Code::cancelled, "cancelled", "the conversion was cancelled");
        RZ_TRY(copy_tensor(plan_[i]));
        if (options_.on_tensor) options_.on_tensor(plan_[i].name, i, plan_.size());
    }
    RZ_TRY(weights_.verify_unchanged());
    return writer_.finish();
}

} // namespace

Status convert_hf(const std::filesystem::path &folder, const std::filesystem::path &out,
                  const ConvertOptions &options) {
    if (options.dtype && *options.dtype != DType::F32 && *options.dtype != DType::F16 &&
        *options.dtype != DType::BF16)
        return make_error(Code::invalid_argument, "bad_dtype",
                          "expected F32, F16 or BF16, found %s", dtype_info(*options.dtype).name);
    RZ_ASSIGN(const std::string text, read_small_file(folder / "config.json", kMaxConfig));
    RZ_ASSIGN(const HfConfig config, parse_hf_config(text));
    RZ_ASSIGN(const SafetensorsFolder weights, SafetensorsFolder::open(folder));
    Converter converter(config, weights, options);
    RZ_TRY(converter.plan());
    std::error_code ignored;
    const auto whole = std::filesystem::absolute(folder, ignored).lexically_normal();
    const auto last = whole.has_filename() ? whole.filename() : whole.parent_path().filename();
    converter.describe(options.name.empty() ? last.string() : options.name);
    return converter.write(folder, out);
}

} // namespace realizar
