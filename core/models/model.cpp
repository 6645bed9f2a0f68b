#include "core/models/model.h"

#include "core/models/architectures.h"
#include "core/quant/codec.h"
#include "core/reference/ref_rope.h"

#include <algorithm>
#include <limits>

namespace realizar {
namespace {

constexpr RopeKind kHalves = RopeKind::halves, kNoRope = RopeKind::none;
constexpr NormKind kLayerNorm = NormKind::layer;
constexpr ForwardKind kPlain = ForwardKind::plain, kFused = ForwardKind::fused;
constexpr UnaryKind kGelu = UnaryKind::gelu, kGeluErf = UnaryKind::gelu_erf;
constexpr const char *kBehindAttention = "post_attention_norm", *kBehindForward = "post_ffw_norm";

// In alphabetical order. Defaults: a sequential decoder with RMSNorm before its blocks, RoPE over
// adjacent pairs and SwiGLU.
constexpr Architecture kArchitectures[] = {
    {"bloom",
     {.rope = kNoRope,
      .norm = kLayerNorm,
      .forward = kPlain,
      .activation = kGelu,
      .alibi_max_bias = 8},
     build_decoder},
    {"cohere2",
     {.norm = kLayerNorm, .parallel = true, .window_pattern = 4, .rope_in_windows = true},
     build_decoder},
    {"command-r", {.norm = kLayerNorm, .parallel = true}, build_decoder},
    {"deepseek2", {}, build_deepseek2},
    {"falcon",
     {.rope = kHalves,
      .norm = kLayerNorm,
      .forward = kPlain,
      .activation = kGeluErf,
      .parallel = true},
     build_decoder},
    {"gemma", {.rope = kHalves, .activation = kGelu, .scaled_embedding = true}, build_decoder},
    {"gemma2",
     {.rope = kHalves,
      .activation = kGelu,
      .behind_attention = kBehindAttention,
      .behind_forward = kBehindForward,
      .scaled_embedding = true,
      .window = 4096,
      .window_pattern = 2,
      .attention_softcap = 50,
      .logit_softcap = 30,
      .narrow_scale_layers = 46},
     build_decoder},
    {"gemma3",
     {.rope = kHalves,
      .activation = kGelu,
      .behind_attention = kBehindAttention,
      .behind_forward = kBehindForward,
      .scaled_embedding = true,
      .window_pattern = 6,
      .plain_window_rope = true,
      .window_rope_base = 10000,
      .narrow_scale_layers = 62},
     build_decoder},
    {"glm4",
     {.forward = kFused, .behind_attention = kBehindAttention, .behind_forward = kBehindForward},
     build_decoder},
    {"gpt-oss",
     {.rope = kHalves,
      .forward = ForwardKind::clamped,
      .before_forward = "post_attention_norm",
      .normalises_experts = true,
      .exact_yarn = true,
      .window_pattern = 2},
     build_decoder},
    {"gpt2",
     {.rope = kNoRope, .norm = kLayerNorm, .forward = kPlain, .activation = kGelu},
     build_decoder},
    {"gptneox",
     {.rope = kHalves,
      .norm = kLayerNorm,
      .forward = kPlain,
      .activation = kGeluErf,
      .parallel = true},
     build_decoder},
    {"granite", {.divides_logits = true}, build_decoder},
    {"granitemoe", {.divides_logits = true, .normalises_experts = true}, build_decoder},
    {"llama", {.normalises_experts = true}, build_decoder},
    {"mamba", {.rope = kNoRope, .recurrent = true}, build_mamba},
    {"mpt",
     {.rope = kNoRope, .norm = kLayerNorm, .forward = kPlain, .activation = kGeluErf},
     build_decoder},
    {"nemotron",
     {.rope = kHalves,
      .norm = kLayerNorm,
      .forward = kPlain,
      .activation = UnaryKind::relu_squared},
     build_decoder},
    {"olmo2",
     {.rope = kHalves,
      .before_attention = nullptr,
      .before_forward = nullptr,
      .behind_attention = kBehindAttention,
      .behind_forward = kBehindForward,
      .window_pattern = 4,
      .plain_window_rope = true},
     build_decoder},
    {"olmoe", {.rope = kHalves}, build_decoder},
    {"phi2",
     {.rope = kHalves,
      .norm = kLayerNorm,
      .forward = kPlain,
      .activation = kGelu,
      .parallel = true},
     build_decoder},
    {"phi3", {.rope = kHalves, .forward = kFused}, build_decoder},
    {"qwen2", {.rope = kHalves}, build_decoder},
    {"qwen2moe", {.rope = kHalves}, build_decoder},
    {"qwen3", {.rope = kHalves}, build_decoder},
    {"qwen3moe", {.rope = kHalves, .normalises_experts = true}, build_decoder},
    {"smollm3", {.rope_pattern = 4}, build_decoder},
    {"stablelm",
     {.rope = kHalves, .norm = kLayerNorm, .parallel_without_norm = true},
     build_decoder},
    {"starcoder",
     {.rope = kNoRope, .norm = kLayerNorm, .forward = kPlain, .activation = kGelu},
     build_decoder},
    {"starcoder2",
     {.rope = kHalves, .norm = kLayerNorm, .forward = kPlain, .activation = kGelu},
     build_decoder},
};

rz_attr_rope rope_attributes(const RopeParams &params) {
    rz_attr_rope attr{};
    attr.rotated = params.rotated;
    attr.base = params.base;
    attr.scale = params.scale;
    attr.extrapolation = params.extrapolation;
    attr.beta_fast = params.beta_fast;
    attr.beta_slow = params.beta_slow;
    attr.original_context = params.original_context;
    return attr;
}

} // namespace

std::span<const Architecture> architectures() { return kArchitectures; }

std::vector<std::string> known_architectures() {
    std::vector<std::string> names;
    for (const Architecture &row : kArchitectures)
        names.emplace_back(row.name);
    return names;
}

Result<std::shared_ptr<const ModelFile>> ModelFile::open(std::shared_ptr<const GgufFile> file) {
    RZ_ASSIGN(const std::string_view name, file->require_string("general.architecture"));
    const auto table = architectures();
    const auto row = std::ranges::find(table, name, &Architecture::name);
    if (row == table.end()) {
        std::string known;
        for (const Architecture &architecture : table)
            known += (known.empty() ? "" : ", ") + std::string(architecture.name);
        return make_error(Code::unsupported, "unknown_architecture",
                          "architecture '%s' is not known; known: %s", printable(name).c_str(),
                          known.c_str());
    }
    std::shared_ptr<ModelFile> model(new ModelFile);
    RZ_ASSIGN(model->config_, read_config(*file, row->traits));
    model->file_ = std::move(file);
    model->architecture_ = static_cast<size_t>(row - table.begin());
    // Building once checks that every tensor is there and has its shape.
    StepBuilder step(*model->file_, model->config_, {});
    const TensorId logits = row->build(step);
    model->constants_ = step.constants();
    model->stacks_ = step.stacks();
    RZ_ASSIGN(const Graph checked, std::move(step).build(logits));
    return std::shared_ptr<const ModelFile>(std::move(model));
}

Result<Graph> ModelFile::build(const StepShape &shape) const {
    StepBuilder step(*file_, config_, shape);
    const TensorId logits = architectures()[architecture_].build(step);
    return std::move(step).build(logits);
}

uint32_t ModelFile::most_positions() const {
    return file_->find_tensor("position_embd.weight") ? config_.context
                                                      : std::numeric_limits<uint32_t>::max();
}

std::optional<KeyRope> ModelFile::key_rope(uint32_t layer, const StepShape &shape) const {
    if (!config_.has_rope(layer)) return std::nullopt;
    const StepBuilder step(*file_, config_, shape);
    const LayerRope rope = step.layer_rope(layer);
    std::vector<float> factors = rope.computed;
    if (const GgufTensor *tensor = file_->find_tensor(rope.tensor)) {
        factors.resize(rope.params.rotated / 2);
        find_codec(tensor->dtype)->decode(tensor->data.data(), factors.data(), factors.size());
    }
    KeyRope out;
    out.halves = rope.params.halves;
    // The rotated part of a latent key comes last.
    if (config_.latent.kv_rank > 0) {
        const bool absorbed = file_->find_tensor(layer_name(layer, "attn_k_b.weight")) != nullptr;
        out.offset =
            absorbed ? config_.latent.kv_rank : config_.latent.key_width - rope.params.rotated;
    }
    out.rates = ref_rope_rates(rope_attributes(rope.params),
                               std::vector<double>(factors.begin(), factors.end()));
    return out;
}

ModelWeight ModelFile::weight(uint64_t key) const {
    if (const auto constant = constants_.find(key); constant != constants_.end())
        return {{std::as_bytes(std::span(constant->second))}, DType::F32};
    if (const auto stack = stacks_.find(key); stack != stacks_.end()) {
        ModelWeight weight{{}, stack->second.front()->dtype};
        for (const GgufTensor *tensor : stack->second)
            weight.parts.push_back(tensor->data);
        return weight;
    }
    const GgufTensor &tensor = file_->tensors()[key - 1];
    return {{tensor.data}, tensor.dtype};
}

} // namespace realizar
