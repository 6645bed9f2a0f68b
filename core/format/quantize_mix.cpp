#include "core/format/quantize_mix.h"

#include "core/quant/codec.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace realizar {

namespace {

// Matrices by what they do in a layer, and the two of the vocabulary.
enum class Part {
    output,
    embedding,
    attn_v,
    attn_k,
    attn_output,
    attn_qkv,
    ffn_down,
    experts,
    other
};

enum class When { always, with_importance, without_importance }; // there is an importance matrix

// In which layers of n a rule holds, or in which models.
enum class Where {
    all,
    first_2,
    first_4,
    first_eighth,
    first_sixteenth,
    more,          // the first and last eighth, and every third layer between
    shared_keys,   // at least four query heads use each key head
    eight_experts, // the attention is small beside them
};

} // namespace

// The first rule of a target whose part and place fit decides.
struct MixRule {
    Part part;
    Where where;
    DType dtype;
    When when = When::always;
};

namespace {

constexpr MixRule kOutput{Part::output, Where::all, DType::Q6_K};
constexpr MixRule kExpertsV{Part::attn_v, Where::eight_experts, DType::Q8_0};
constexpr MixRule kExpertsK{Part::attn_k, Where::eight_experts, DType::Q8_0};
constexpr MixRule kExpertsO{Part::attn_output, Where::eight_experts, DType::Q5_K};

constexpr MixRule kPlain[] = {kOutput, kExpertsV, kExpertsK};
constexpr MixRule kQ4_0[] = {
    kOutput,
    kExpertsV,
    kExpertsK,
    {Part::ffn_down, Where::first_eighth, DType::Q4_1, When::with_importance}};
constexpr MixRule kQ5_0[] = {
    kOutput,
    kExpertsV,
    kExpertsK,
    {Part::ffn_down, Where::first_eighth, DType::Q5_1, When::with_importance}};
constexpr MixRule kQ2_K[] = {kOutput,
                             kExpertsV,
                             kExpertsK,
                             kExpertsO,
                             {Part::attn_v, Where::shared_keys, DType::Q4_K},
                             {Part::attn_v, Where::all, DType::Q3_K},
                             {Part::ffn_down, Where::all, DType::Q3_K},
                             {Part::attn_output, Where::all, DType::Q3_K}};
constexpr MixRule kQ2_K_S[] = {kOutput,
                               kExpertsV,
                               kExpertsK,
                               {Part::attn_v, Where::shared_keys, DType::Q4_K},
                               {Part::ffn_down, Where::first_eighth, DType::Q4_K}};
constexpr MixRule kQ3_K_S[] = {kOutput, kExpertsV, kExpertsK, kExpertsO};
constexpr MixRule kQ3_K_M[] = {kOutput,
                               kExpertsV,
                               kExpertsK,
                               kExpertsO,
                               {Part::attn_v, Where::first_2, DType::Q5_K},
                               {Part::attn_v, Where::all, DType::Q4_K},
                               {Part::ffn_down, Where::first_sixteenth, DType::Q5_K},
                               {Part::ffn_down, Where::all, DType::Q4_K},
                               {Part::attn_output, Where::all, DType::Q4_K},
                               {Part::attn_qkv, Where::all, DType::Q4_K}};
constexpr MixRule kQ3_K_L[] = {kOutput,
                               kExpertsV,
                               kExpertsK,
                               {Part::attn_v, Where::all, DType::Q5_K},
                               {Part::ffn_down, Where::all, DType::Q5_K},
                               {Part::attn_output, Where::all, DType::Q5_K},
                               {Part::attn_qkv, Where::all, DType::Q4_K}};
constexpr MixRule kQ4_K_S[] = {kOutput,
                               kExpertsV,
                               kExpertsK,
                               kExpertsO,
                               {Part::attn_v, Where::first_4, DType::Q5_K},
                               {Part::ffn_down, Where::first_eighth, DType::Q5_K}};
constexpr MixRule kQ4_K_M[] = {kOutput,
                               kExpertsV,
                               kExpertsK,
                               kExpertsO,
                               {Part::attn_v, Where::more, DType::Q6_K},
                               {Part::ffn_down, Where::more, DType::Q6_K},
                               {Part::attn_qkv, Where::all, DType::Q5_K}};
constexpr MixRule kQ5_K_M[] = {kOutput,
                               kExpertsV,
                               kExpertsK,
                               {Part::attn_v, Where::more, DType::Q6_K},
                               {Part::ffn_down, Where::more, DType::Q6_K},
                               {Part::attn_qkv, Where::all, DType::Q6_K}};
constexpr MixRule kIQ4[] = {
    kOutput,
    kExpertsV,
    kExpertsK,
    kExpertsO,
    {Part::attn_v, Where::shared_keys, DType::Q5_K},
    {Part::ffn_down, Where::first_eighth, DType::Q5_K, When::without_importance}};
constexpr MixRule kTernary[] = {kOutput, {Part::embedding, Where::all, DType::Q4_K}};
constexpr MixRule kMXFP4[] = {{Part::output, Where::all, DType::Q8_0}};
constexpr MixRule kMXFP4Experts[] = {{Part::experts, Where::all, DType::MXFP4}};

// general.file_type as published with the format.
constexpr QuantizeTarget kTargets[] = {
    {"F32", DType::F32, 0, {}},
    {"F16", DType::F16, 1, {}},
    {"BF16", DType::BF16, 32, {}},
    {"Q8_0", DType::Q8_0, 7, {}},
    {"Q4_0", DType::Q4_0, 2, kQ4_0},
    {"Q4_1", DType::Q4_1, 3, kPlain},
    {"Q5_0", DType::Q5_0, 8, kQ5_0},
    {"Q5_1", DType::Q5_1, 9, kPlain},
    {"Q2_K", DType::Q2_K, 10, kQ2_K},
    {"Q2_K_S", DType::Q2_K, 21, kQ2_K_S},
    {"Q3_K_S", DType::Q3_K, 11, kQ3_K_S},
    {"Q3_K_M", DType::Q3_K, 12, kQ3_K_M},
    {"Q3_K_L", DType::Q3_K, 13, kQ3_K_L},
    {"Q4_K_S", DType::Q4_K, 14, kQ4_K_S},
    {"Q4_K_M", DType::Q4_K, 15, kQ4_K_M},
    {"Q5_K_S", DType::Q5_K, 16, kPlain},
    {"Q5_K_M", DType::Q5_K, 17, kQ5_K_M},
    {"Q6_K", DType::Q6_K, 18, kPlain},
    {"IQ4_NL", DType::IQ4_NL, 25, kIQ4},
    {"IQ4_XS", DType::IQ4_XS, 30, kIQ4},
    {"TQ1_0", DType::TQ1_0, 36, kTernary},
    {"TQ2_0", DType::TQ2_0, 37, kTernary},
    {"MXFP4", DType::MXFP4, 38, kMXFP4},
    {"MXFP4_MOE", DType::Q8_0, 38, kMXFP4Experts},
};

// Small matrices whose rounding changes more than their size is worth.
constexpr std::string_view kKept[] = {"ffn_gate_inp", "position_embd", "token_types", "ssm_conv1d"};

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

bool same_name(std::string_view a, std::string_view b) {
    const auto upper = [](unsigned char c) { return std::toupper(c); };
    return std::ranges::equal(a, b, {}, upper, upper);
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

Part part_of(std::string_view name, const MixFacts &facts) {
    if (name == "output.weight") return Part::output;
    if (name == "token_embd.weight") return facts.tied ? Part::output : Part::embedding;
    constexpr struct {
        std::string_view text;
        Part part;
    } kParts[] = {
        {".attn_v.", Part::attn_v},           {".attn_k.", Part::attn_k},
        {".attn_output.", Part::attn_output}, {".attn_qkv.", Part::attn_qkv},
        {".ffn_down", Part::ffn_down},
    };
    for (const auto &[text, part] : kParts)
        if (contains(name, text)) return part;
    return Part::other;
}

bool holds(Where where, std::optional<uint32_t> layer, const MixFacts &facts) {
    const uint64_t n = facts.layers, i = layer.value_or(UINT32_MAX), eighth = n / 8;
    switch (where) {
    case Where::all: return true;
    case Where::first_2: return i < 2;
    case Where::first_4: return i < 4;
    case Where::first_eighth: return i < eighth;
    case Where::first_sixteenth: return i < n / 16;
    case Where::more: return i < eighth || i >= 7 * n / 8 || (i - eighth) % 3 == 2;
    case Where::shared_keys: return facts.query_heads_per_key >= 4;
    case Where::eight_experts: return facts.experts == 8;
    }
    return false;
}

DType mixed_type(const GgufTensor &tensor, const QuantizeTarget &target, const MixFacts &facts) {
    const Part part = part_of(tensor.name, facts);
    const auto layer = layer_of(tensor.name);
    const bool experts = contains(tensor.name, "_exps.");
    for (const MixRule &rule : target.rules) {
        if (rule.part != part && !(rule.part == Part::experts && experts)) continue;
        if (facts.importance ? rule.when == When::without_importance
                             : rule.when == When::with_importance)
            continue;
        if (holds(rule.where, layer, facts)) return rule.dtype;
    }
    return target.base;
}

// Types with superblocks have one of nearly as many bits with blocks of 32.
DType fitting_type(DType wanted, int64_t row) {
    const auto fits = [&](DType dtype) { return row % dtype_info(dtype).block_elements == 0; };
    if (fits(wanted)) return wanted;
    DType smaller = DType::F16;
    switch (wanted) {
    case DType::Q2_K:
    case DType::Q3_K:
    case DType::IQ4_XS: smaller = DType::IQ4_NL; break;
    case DType::Q4_K: smaller = DType::Q5_0; break;
    case DType::Q5_K: smaller = DType::Q5_1; break;
    case DType::Q6_K:
    case DType::Q8_K: smaller = DType::Q8_0; break;
    case DType::TQ1_0:
    case DType::TQ2_0: smaller = DType::Q4_0; break;
    default: break;
    }
    return fits(smaller) ? smaller : DType::F16;
}

// Whether `pattern` with its wildcards matches all of the text from its beginning on, up to anywhere
// (the text may go on). Iterative: a failed attempt returns to the last '*' only.
bool matches_here(std::string_view pattern, std::string_view text) {
    size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
    while (p < pattern.size()) {
        if (pattern[p] == '*') {
            star = p++;
            resume = t;
        } else if (t < text.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos && resume < text.size()) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    return true;
}

bool matches(std::string_view pattern, std::string_view name) {
    for (size_t begin = 0; begin <= name.size(); ++begin)
        if (matches_here(pattern, name.substr(begin))) return true;
    return false;
}

// The integer under `<architecture>.<key>`; nullopt when it is missing or not one number.
std::optional<uint32_t> hparam(const GgufFile &file, const char *key) {
    const auto architecture = file.get_string("general.architecture");
    if (!architecture.ok() || !*architecture) return std::nullopt;
    const auto value = file.get_u32(std::string(**architecture) + "." + key);
    return value.ok() ? *value : std::nullopt;
}

} // namespace

std::span<const QuantizeTarget> quantize_targets() { return kTargets; }

const QuantizeTarget *find_quantize_target(std::string_view name) {
    for (const char *family : {"Q3_K", "Q4_K", "Q5_K"})
        if (same_name(name, family)) return find_quantize_target(std::string(family) + "_M");
    const auto row = std::ranges::find_if(
        kTargets, [&](const QuantizeTarget &target) { return same_name(name, target.name); });
    return row == std::end(kTargets) ? nullptr : row;
}

Result<TypeOverride> parse_type_override(std::string_view text) {
    const size_t equals = text.rfind('=');
    if (equals == std::string_view::npos || equals == 0)
        return make_error(Code::invalid_argument, "bad_option",
                          "type of tensors: expected PATTERN=TYPE, found '%s'",
                          printable(text).c_str());
    const auto dtype = dtype_from_name(text.substr(equals + 1));
    const Codec *codec = dtype ? find_codec(*dtype) : nullptr;
    if (codec == nullptr || codec->encode == nullptr || is_integer(*dtype))
        return make_error(
            Code::invalid_argument, "bad_option",
            "type of tensors: expected a type that weights are written in, found '%s'",
            printable(text.substr(equals + 1)).c_str());
    return TypeOverride{std::string(text.substr(0, equals)), *dtype};
}

bool applies(const TypeOverride &override, const GgufTensor &tensor) {
    return tensor.dims.size() > 1 && matches(override.pattern, tensor.name);
}

MixFacts mix_facts(const GgufFile &file) {
    MixFacts facts;
    facts.tied = file.find_tensor("output.weight") == nullptr;
    for (const GgufTensor &tensor : file.tensors())
        if (const auto layer = layer_of(tensor.name))
            facts.layers = std::max(facts.layers, *layer == UINT32_MAX ? *layer : *layer + 1);
    const uint32_t heads = hparam(file, "attention.head_count").value_or(1);
    const uint32_t keys = hparam(file, "attention.head_count_kv").value_or(heads);
    facts.query_heads_per_key = keys > 0 ? heads / keys : 1;
    facts.experts = hparam(file, "expert_count").value_or(0);
    return facts;
}

TypeChoice choose_type(const GgufTensor &tensor, const QuantizeTarget &target,
                       std::span<const TypeOverride> overrides, const MixFacts &facts) {
    const TypeChoice kept{tensor.dtype, tensor.dtype};
    if (is_integer(tensor.dtype)) return kept;
    const auto named =
        std::ranges::find_if(overrides, [&](const TypeOverride &o) { return applies(o, tensor); });
    if (named != overrides.end())
        return {named->dtype, fitting_type(named->dtype, tensor.dims.back())};
    const auto is_part = [&](std::string_view part) { return contains(tensor.name, part); };
    if (std::ranges::any_of(kKept, is_part)) return kept;
    const auto larger_than_1 = std::ranges::count_if(tensor.dims, [](int64_t d) { return d > 1; });
    if (tensor.dims.size() == 1 || larger_than_1 <= 1) return {DType::F32, DType::F32};
    const DType wanted = mixed_type(tensor, target, facts);
    return {wanted, fitting_type(wanted, tensor.dims.back())};
}

} // namespace realizar
