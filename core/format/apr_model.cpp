#include "core/format/apr_model.h"

#include "core/format/apr_entries.h"
#include "core/format/apr_layout.h"
#include "core/format/gguf_cursor.h"

#include <algorithm>
#include <numeric>

namespace realizar {
namespace {

using nlohmann::json;

constexpr uint64_t kChunkBytes = uint64_t(16) << 20;
constexpr const char *kOwnKey = "gguf"; // the object with GGUF's metadata

// Elements that have no type of ours, as F32.
std::span<const std::byte> decoded(const AprTensor &tensor, std::string &out) {
    out.resize(tensor.elements() * sizeof(float));
    const std::span floats(reinterpret_cast<float *>(out.data()), tensor.elements());
    (void)decode_apr(tensor, 0, floats); // whole tensors of checked files decode
    return std::as_bytes(std::span(out));
}

Status add_tensor(const AprTensor &tensor, bool keep_names, GgufContents &contents) {
    if (tensor.dims.size() > GgufLimits::kRank)
        return make_error(Code::unsupported, "too_many_dims",
                          "tensor '%s': expected at most %u dimensions, found %zu",
                          printable(tensor.name).c_str(), GgufLimits::kRank, tensor.dims.size());
    GgufTensor out{};
    out.name = contents.owned.emplace_back(keep_names ? std::string(tensor.name)
                                                      : gguf_tensor_name(tensor.name));
    out.dims = tensor.dims;
    out.file_offset = tensor.file_offset;
    out.dtype = tensor.storage == AprStorage::plain ? tensor.dtype : DType::F32;
    out.data = tensor.storage == AprStorage::plain ? tensor.data
                                                   : decoded(tensor, contents.owned.emplace_back());
    contents.tensors.push_back(std::move(out));
    return {};
}

// Orders for searching, and what they find out.
Status sort(GgufContents &contents) {
    for (const GgufEntry &entry : contents.entries)
        if (entry.key.empty() || entry.key.size() > GgufLimits::kKeyBytes ||
            !gguf_is_clean_text(entry.key))
            return make_error(Code::malformed, "bad_key",
                              "expected keys of UTF-8 without control bytes, found '%s'",
                              printable(entry.key).c_str());
    if (const auto *twin = sort_by_text(contents.entries, &GgufEntry::key, contents.entry_order))
        return make_error(Code::malformed, "duplicate_key",
                          "expected each key once, found '%s' again", printable(twin->key).c_str());
    if (const auto *twin = sort_by_text(contents.tensors, &GgufTensor::name, contents.tensor_order))
        return make_error(Code::malformed, "duplicate_tensor",
                          "expected each tensor once, found '%s' again",
                          printable(twin->name).c_str());
    return {};
}

struct NumberKey {
    const char *gguf, *apr;
};
constexpr NumberKey kNumberKeys[] = {
    {"embedding_length", "hidden_size"},
    {"block_count", "num_layers"},
    {"attention.head_count", "num_heads"},
    {"attention.head_count_kv", "num_kv_heads"},
    {"attention.key_length", "head_dim"},
    {"feed_forward_length", "intermediate_size"},
    {"context_length", "max_position_embeddings"},
    {"vocab_size", "vocab_size"},
    {"rope.freq_base", "rope_theta"},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps"},
    {"expert_count", "num_experts"},
    {"expert_used_count", "num_experts_per_tok"},
    {"expert_feed_forward_length", "moe_intermediate_size"},
};

// What readers that do not know GGUF look for.
Status describe(const GgufFile &file, json &metadata) {
    metadata["model_type"] = "transformer_lm";
    metadata["original_format"] = "gguf";
    const auto architecture = file.get_string("general.architecture");
    if (!architecture.ok() || !*architecture) return {};
    metadata["architecture"] = **architecture;
    const std::string prefix = std::string(**architecture) + ".";
    for (const NumberKey &key : kNumberKeys) {
        const GgufEntry *entry = file.find(prefix + key.gguf);
        if (entry && !std::holds_alternative<GgufArray>(entry->value)) {
            RZ_ASSIGN(metadata[key.apr], value_to_json(*entry));
        }
    }
    constexpr NumberKey kTexts[] = {{"general.name", "name"},
                                    {"tokenizer.ggml.model", "tokenizer.model"},
                                    {"tokenizer.ggml.bos_token_id", "tokenizer.bos_token_id"},
                                    {"tokenizer.ggml.eos_token_id", "tokenizer.eos_token_id"}};
    for (const NumberKey &key : kTexts)
        if (const GgufEntry *entry = file.find(key.gguf)) {
            RZ_ASSIGN(metadata[key.apr], value_to_json(*entry));
        }
    for (const SharedKey &key : kSharedKeys)
        if (const GgufEntry *entry = file.find(key.gguf)) {
            RZ_ASSIGN(metadata[key.apr], value_to_json(*entry));
        }
    if (const auto *tokens = file.find("tokenizer.ggml.tokens"))
        if (const auto *array = std::get_if<GgufArray>(&tokens->value))
            metadata["tokenizer.vocab_size"] = array->count;
    return {};
}

} // namespace

Result<GgufContents> contents_from_apr(AprContents apr) {
    GgufContents contents;
    contents.format = "APR";
    contents.version = 2;
    const auto own = apr.metadata.find(kOwnKey);
    const bool is_ours = own != apr.metadata.end();
    RZ_TRY(is_ours ? entries_from_json(*own, apr.metadata, contents)
                   : entries_from_keys(apr.metadata, contents));
    std::vector<uint32_t> order(apr.tensors.size());
    std::iota(order.begin(), order.end(), 0u);
    std::ranges::sort(order, {}, [&](uint32_t i) { return apr.tensors[i].file_offset; });
    for (const uint32_t i : order)
        RZ_TRY(add_tensor(apr.tensors[i], is_ours, contents));
    contents.image = std::move(apr.image);
    RZ_TRY(sort(contents));
    return contents;
}

Result<GgufContents> contents_from_apr_v1(const AprV1 &model) {
    GgufContents contents;
    contents.format = "APR";
    contents.version = 1;
    EntryMaker maker(contents);
    maker.add_string("general.architecture", model.type_name);
    for (const char *key : {"model_name", "description", "aprender_version"})
        if (const auto found = model.metadata.find(key);
            found != model.metadata.end() && found->is_string())
            maker.add_string(std::string("apr.") + key, found->get<std::string>());
    if (auto linear = linear_of(model); linear.ok()) {
        const auto add = [&](const char *name, std::span<const float> values,
                             std::vector<int64_t> dims) {
            const auto bytes = std::as_bytes(values);
            const std::string &stored = contents.owned.emplace_back(
                reinterpret_cast<const char *>(bytes.data()), bytes.size());
            contents.tensors.push_back(
                {name, DType::F32, std::move(dims), 0, std::as_bytes(std::span(stored))});
        };
        if (!linear->coefficients.empty())
            add("weight", linear->coefficients,
                {1, static_cast<int64_t>(linear->coefficients.size())});
        add("bias", std::span(&linear->intercept, 1), {1});
    } else if (linear.error().code == Code::malformed) {
        return std::move(linear).error();
    }
    RZ_TRY(sort(contents));
    return contents;
}

Status write_apr(const GgufFile &file, const std::filesystem::path &out,
                 const RewriteOptions &options) {
    json metadata = json::object();
    RZ_TRY(describe(file, metadata));
    RZ_ASSIGN(metadata[kOwnKey], entries_to_json(file.entries()));
    uint16_t flags = apr::kRowMajor;
    if (file.find("tokenizer.ggml.tokens")) flags |= apr::kVocabulary;
    uint64_t bytes = 0;
    for (const GgufTensor &tensor : file.tensors()) {
        if (dtype_info(tensor.dtype).block_elements > 1) flags |= apr::kQuantized;
        bytes += tensor.data.size();
    }
    metadata["total_size"] = bytes;
    AprWriter writer(std::move(metadata), flags);
    for (const GgufTensor &tensor : file.tensors())
        writer.add_tensor(std::string(tensor.name), tensor.dtype, tensor.dims);
    RZ_TRY(writer.begin(out));
    for (size_t i = 0; i < file.tensors().size(); ++i) {
        if (options.cancelled && options.cancelled())
            return make_error(Code::cancelled, "cancelled", "the writing was cancelled");
        RZ_TRY(file.verify_unchanged());
        for (auto rest = file.tensors()[i].data; !rest.empty();) {
            const auto chunk = rest.first(std::min(rest.size(), kChunkBytes));
            RZ_TRY(writer.write_tensor(chunk));
            file.drop_pages(chunk);
            rest = rest.subspan(chunk.size());
        }
        if (options.on_tensor) options.on_tensor(i, file.tensors().size());
    }
    RZ_TRY(file.verify_unchanged());
    return writer.finish();
}

} // namespace realizar
