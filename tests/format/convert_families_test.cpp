// Hugging Face folders of families other than llama: which tensor becomes which, unchanged or with the
// change that the family needs, and tokenizer.json.
#include "core/format/convert_hf.h"
#include "core/format/published_patterns.h"
#include "core/quant/codec.h"
#include "gguf_sketch.h"
#include "scratch.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <map>

namespace realizar {
namespace {

using namespace test;
using Json = nlohmann::json;

struct Expected {
    const char *source, *target;
    std::vector<int64_t> dims;
    float offset = 0;
};

struct Family {
    const char *name, *class_name;
    Json config; // beside what all have
    std::vector<Expected> layer;
    bool tied = false;
    float norm_offset = 0;
};

// 4 heads of 8, 2 of keys, width 24, feed-forward 20, 300 tokens.
const Family kFamilies[] = {
    {"qwen2",
     "Qwen2ForCausalLM",
     {{"use_sliding_window", false}, {"sliding_window", 64}, {"head_dim", 8}},
     {{"input_layernorm.weight", "attn_norm.weight", {24}},
      {"post_attention_layernorm.weight", "ffn_norm.weight", {24}},
      {"self_attn.q_proj.weight", "attn_q.weight", {32, 24}},
      {"self_attn.q_proj.bias", "attn_q.bias", {32}},
      {"self_attn.k_proj.weight", "attn_k.weight", {16, 24}},
      {"self_attn.k_proj.bias", "attn_k.bias", {16}},
      {"self_attn.v_proj.weight", "attn_v.weight", {16, 24}},
      {"self_attn.v_proj.bias", "attn_v.bias", {16}},
      {"self_attn.o_proj.weight", "attn_output.weight", {24, 32}},
      {"mlp.gate_proj.weight", "ffn_gate.weight", {20, 24}},
      {"mlp.up_proj.weight", "ffn_up.weight", {20, 24}},
      {"mlp.down_proj.weight", "ffn_down.weight", {24, 20}}}},
    {"qwen3",
     "Qwen3ForCausalLM",
     {{"head_dim", 8}, {"tie_word_embeddings", true}},
     {{"input_layernorm.weight", "attn_norm.weight", {24}},
      {"post_attention_layernorm.weight", "ffn_norm.weight", {24}},
      {"self_attn.q_proj.weight", "attn_q.weight", {32, 24}},
      {"self_attn.k_proj.weight", "attn_k.weight", {16, 24}},
      {"self_attn.v_proj.weight", "attn_v.weight", {16, 24}},
      {"self_attn.o_proj.weight", "attn_output.weight", {24, 32}},
      {"self_attn.q_norm.weight", "attn_q_norm.weight", {8}},
      {"self_attn.k_norm.weight", "attn_k_norm.weight", {8}},
      {"mlp.gate_proj.weight", "ffn_gate.weight", {20, 24}},
      {"mlp.up_proj.weight", "ffn_up.weight", {20, 24}},
      {"mlp.down_proj.weight", "ffn_down.weight", {24, 20}}},
     true},
    {"phi3",
     "Phi3ForCausalLM",
     {{"head_dim", 8},
      {"sliding_window", 33},
      {"max_position_embeddings", 1024},
      {"original_max_position_embeddings", 64},
      {"partial_rotary_factor", 0.75},
      {"rope_scaling",
       {{"type", "longrope"},
        {"long_factor", {1.5, 2.5, 3.5}},
        {"short_factor", {1.0, 1.25, 1.5}}}}},
     {{"input_layernorm.weight", "attn_norm.weight", {24}},
      {"post_attention_layernorm.weight", "ffn_norm.weight", {24}},
      {"self_attn.qkv_proj.weight", "attn_qkv.weight", {64, 24}},
      {"self_attn.o_proj.weight", "attn_output.weight", {24, 32}},
      {"mlp.gate_up_proj.weight", "ffn_up.weight", {40, 24}},
      {"mlp.down_proj.weight", "ffn_down.weight", {24, 20}}}},
    {"gemma2",
     "Gemma2ForCausalLM",
     {{"head_dim", 8},
      {"hidden_act", "gelu_pytorch_tanh"},
      {"hidden_activation", "gelu_pytorch_tanh"},
      {"attn_logit_softcapping", 50.0},
      {"final_logit_softcapping", 30.0},
      {"query_pre_attn_scalar", 16},
      {"sliding_window", 32}},
     {{"input_layernorm.weight", "attn_norm.weight", {24}, 1},
      {"post_attention_layernorm.weight", "post_attention_norm.weight", {24}, 1},
      {"pre_feedforward_layernorm.weight", "ffn_norm.weight", {24}, 1},
      {"post_feedforward_layernorm.weight", "post_ffw_norm.weight", {24}, 1},
      {"self_attn.q_proj.weight", "attn_q.weight", {32, 24}},
      {"self_attn.k_proj.weight", "attn_k.weight", {16, 24}},
      {"self_attn.v_proj.weight", "attn_v.weight", {16, 24}},
      {"self_attn.o_proj.weight", "attn_output.weight", {24, 32}},
      {"mlp.gate_proj.weight", "ffn_gate.weight", {20, 24}},
      {"mlp.up_proj.weight", "ffn_up.weight", {20, 24}},
      {"mlp.down_proj.weight", "ffn_down.weight", {24, 20}}},
     true,
     1},
};

Json split_by(std::string_view pattern) {
    return {{"type", "Sequence"},
            {"pretokenizers",
             {{{"type", "Split"},
               {"pattern", {{"Regex", pattern}}},
               {"behavior", "Isolated"},
               {"invert", false}},
              {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
}

// Four tokens, two merges, two added ones.
Json tokenizer_json(const Json &pre) {
    return {{"model",
             {{"type", "BPE"},
              {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}, {"\u0120a", 3}}},
              {"merges", Json::array({"a b", Json::array({"\u0120", "a"})})}}},
            {"pre_tokenizer", pre},
            {"added_tokens",
             {{{"id", 4}, {"content", "<|end|>"}, {"special", true}},
              {{"id", 7}, {"content", "<tool>"}, {"special", false}}}}};
}

class HfFamilyFolder : public testing::TestWithParam<Family> {
  protected:
    void add(const std::string &name, std::vector<int64_t> dims) {
        uint64_t count = 1;
        for (const int64_t dim : dims)
            count *= static_cast<uint64_t>(dim);
        std::normal_distribution<float> normal;
        auto &values = weights_[name].second;
        weights_[name].first = std::move(dims);
        for (uint64_t i = 0; i < count; ++i)
            values.push_back(normal(random_));
    }

    // In two shards.
    void write(const Family &family) {
        Json config = {{"architectures", {family.class_name}},
                       {"hidden_size", 24},
                       {"num_hidden_layers", 2},
                       {"intermediate_size", 20},
                       {"num_attention_heads", 4},
                       {"num_key_value_heads", 2},
                       {"max_position_embeddings", 128},
                       {"rms_norm_eps", 1e-6},
                       {"vocab_size", 300},
                       {"rope_theta", 50000.0},
                       {"eos_token_id", {4, 0}}};
        config.update(family.config);
        folder_.write("config.json", config.dump());
        folder_.write("tokenizer.json", tokenizer_json(split_by(kQwen2)).dump());
        Json map = Json::object();
        for (const int shard : {0, 1}) {
            const std::string file = "model-" + std::to_string(shard) + ".safetensors";
            Json header = Json::object();
            std::string data;
            int index = 0;
            for (const auto &[name, weight] : weights_) {
                if (index++ % 2 != shard) continue;
                const size_t begin = data.size();
                for (const float value : weight.second)
                    data += raw(value);
                header[name] = {{"dtype", "F32"},
                                {"shape", weight.first},
                                {"data_offsets", {begin, data.size()}}};
                map[name] = file;
            }
            const std::string text = header.dump();
            folder_.write(file, raw(uint64_t(text.size())) + text + data);
        }
        folder_.write("model.safetensors.index.json", Json{{"weight_map", map}}.dump());
    }

    void fill(const Family &family) {
        add("model.embed_tokens.weight", {300, 24});
        add("model.norm.weight", {24});
        if (!family.tied) add("lm_head.weight", {300, 24});
        for (const char *layer : {"0.", "1."})
            for (const Expected &tensor : family.layer)
                add(std::string("model.layers.") + layer + tensor.source, tensor.dims);
        write(family);
    }

    std::shared_ptr<const GgufFile> convert() {
        ConvertOptions options;
        options.dtype = DType::F32;
        const Status status = convert_hf(folder_.path(), folder_ / "out.gguf", options);
        EXPECT_TRUE(status.ok()) << status.error().message;
        auto file = GgufFile::open(folder_ / "out.gguf");
        EXPECT_TRUE(file.ok());
        return file.ok() ? *file : nullptr;
    }

    void expect_tensor(const GgufFile &file, const std::string &source, const std::string &target,
                       float offset) {
        const GgufTensor *tensor = file.find_tensor(target);
        ASSERT_NE(tensor, nullptr) << target;
        EXPECT_EQ(tensor->dims, weights_[source].first) << target;
        std::vector<float> expected = weights_[source].second;
        for (float &value : expected)
            value += offset;
        ASSERT_EQ(tensor->data.size(), expected.size() * sizeof(float));
        EXPECT_EQ(std::memcmp(tensor->data.data(), expected.data(), tensor->data.size()), 0)
            << target;
    }

    ScratchFolder folder_;
    std::mt19937 random_{19};
    std::map<std::string, std::pair<std::vector<int64_t>, std::vector<float>>> weights_;
};

TEST_P(HfFamilyFolder, EveryTensor) {
    const Family &family = GetParam();
    fill(family);
    const auto file = convert();
    ASSERT_TRUE(file);
    EXPECT_EQ(*file->require_string("general.architecture"), family.name);
    for (const char *layer : {"0.", "1."})
        for (const Expected &tensor : family.layer)
            expect_tensor(*file, std::string("model.layers.") + layer + tensor.source,
                          std::string("blk.") + layer + tensor.target, tensor.offset);
    expect_tensor(*file, "model.embed_tokens.weight", "token_embd.weight", 0);
    expect_tensor(*file, "model.norm.weight", "output_norm.weight", family.norm_offset);
    EXPECT_EQ(file->find_tensor("output.weight") == nullptr, family.tied);

    const std::string prefix = std::string(family.name) + ".";
    EXPECT_EQ(*file->require_u32(prefix + "attention.key_length"), 8u);
    EXPECT_EQ(*file->require_u32(prefix + "attention.head_count_kv"), 2u);
    EXPECT_EQ(*file->require_f32(prefix + "rope.freq_base"), 50000.0f);
    EXPECT_EQ(*file->require_u32("tokenizer.ggml.eos_token_id"), 4u);
}

TEST_P(HfFamilyFolder, MissingTensor) {
    const Family &family = GetParam();
    for (const Expected &tensor : family.layer) {
        weights_.clear();
        fill(family);
        weights_.erase(std::string("model.layers.1.") + tensor.source);
        write(family);
        EXPECT_EQ(convert_hf(folder_.path(), folder_ / "out.gguf").error().tag, "missing_tensor")
            << tensor.source;
    }
}

INSTANTIATE_TEST_SUITE_P(All, HfFamilyFolder, testing::ValuesIn(kFamilies),
                         [](const auto &instance) { return instance.param.name; });

class HfFolderOf : public HfFamilyFolder {
  protected:
    void of(const char *name) {
        fill(*std::ranges::find(kFamilies, std::string_view(name),
                                [](const Family &f) { return std::string_view(f.name); }));
    }
    std::string tag() {
        const Status status = convert_hf(folder_.path(), folder_ / "out.gguf");
        return status.ok() ? "" : status.error().tag;
    }
};

TEST_F(HfFolderOf, Phi3Rope) {
    of("phi3");
    const auto file = convert();
    const auto floats = [&](const char *name) {
        const GgufTensor *tensor = file->find_tensor(name);
        std::vector<float> out(3);
        EXPECT_TRUE(decode_rows(DType::F32, tensor->data, out, 3).ok());
        return out;
    };
    EXPECT_EQ(floats("rope_factors_long.weight"), (std::vector<float>{1.5, 2.5, 3.5}));
    EXPECT_EQ(floats("rope_factors_short.weight"), (std::vector<float>{1, 1.25, 1.5}));
    EXPECT_EQ(*file->require_u32("phi3.rope.dimension_count"), 6u);
    EXPECT_EQ(*file->require_u32("phi3.rope.scaling.original_context_length"), 64u);
    // sqrt(1 + ln 16 / ln 64) = sqrt(1 + 2 / 3)
    EXPECT_FLOAT_EQ(*file->require_f32("phi3.rope.scaling.attn_factor"), std::sqrt(5.0f / 3));
    EXPECT_EQ(*file->require_u32("phi3.attention.sliding_window"), 33u);
}

TEST_F(HfFolderOf, Gemma2Keys) {
    of("gemma2");
    const auto file = convert();
    EXPECT_EQ(*file->require_f32("gemma2.attn_logit_softcapping"), 50.0f);
    EXPECT_EQ(*file->require_f32("gemma2.final_logit_softcapping"), 30.0f);
    EXPECT_EQ(*file->require_f32("gemma2.attention.scale"), 0.25f);
    EXPECT_EQ(*file->require_u32("gemma2.attention.sliding_window"), 32u);
}

TEST_F(HfFolderOf, Qwen2HasNoWindow) {
    of("qwen2");
    EXPECT_EQ(convert()->find("qwen2.attention.sliding_window"), nullptr);
}

TEST_F(HfFolderOf, TokenizerJson) {
    of("qwen2");
    folder_.write(
        "tokenizer_config.json",
        R"({"eos_token":{"content":"<|end|>"},"pad_token":"<tool>","chat_template":"t"})");
    const auto file = convert();
    EXPECT_EQ(*file->require_string("tokenizer.ggml.model"), "gpt2");
    EXPECT_EQ(*file->require_string("tokenizer.ggml.pre"), "qwen2");
    const GgufArray *tokens = *file->get_array("tokenizer.ggml.tokens");
    const GgufArray *types = *file->get_array("tokenizer.ggml.token_type");
    const GgufArray *merges = *file->get_array("tokenizer.ggml.merges");
    ASSERT_EQ(tokens->count, 300u);
    EXPECT_EQ(tokens->strings[3], "\xC4\xA0"
                                  "a");
    EXPECT_EQ(tokens->strings[4], "<|end|>");
    EXPECT_EQ(tokens->strings[299], "[PAD299]");
    const std::pair<uint64_t, int64_t> expected[] = {{0, 1}, {4, 3}, {5, 5}, {7, 4}, {299, 5}};
    for (const auto &[id, type] : expected)
        EXPECT_EQ(types->integer(id), type) << id;
    ASSERT_EQ(merges->count, 2u);
    EXPECT_EQ(merges->strings[1], "\xC4\xA0 a");
    EXPECT_EQ(*file->require_u32("tokenizer.ggml.eos_token_id"), 4u);
    EXPECT_EQ(*file->require_u32("tokenizer.ggml.padding_token_id"), 7u);
    EXPECT_FALSE(file->get_bool("tokenizer.ggml.add_bos_token")->value());
    EXPECT_EQ(file->find("tokenizer.ggml.bos_token_id"), nullptr);
    EXPECT_EQ(file->find("tokenizer.ggml.scores"), nullptr);
}

TEST_F(HfFolderOf, Pretokenizers) {
    of("qwen2");
    const auto pre = [&](const Json &step) -> std::string {
        folder_.write("tokenizer.json", tokenizer_json(step).dump());
        const Status status = convert_hf(folder_.path(), folder_ / "out.gguf");
        if (!status.ok()) return status.error().tag;
        return std::string(
            *(*GgufFile::open(folder_ / "out.gguf"))->require_string("tokenizer.ggml.pre"));
    };
    const Json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
    const Json digits = {{"type", "Digits"}, {"individual_digits", true}};
    EXPECT_EQ(pre(split_by(kLlama3)), "llama-bpe");
    EXPECT_EQ(pre(split_by(kGpt4o)), "gpt-4o");
    EXPECT_EQ(pre(bytes), "gpt-2");
    EXPECT_EQ(pre({{"type", "Sequence"}, {"pretokenizers", {digits, bytes}}}), "starcoder");
    EXPECT_EQ(pre(split_by("\\w+")), "unsupported_pretokenizer");
    EXPECT_EQ(pre(nullptr), "unsupported_pretokenizer");
    EXPECT_EQ(pre({{"type", "Metaspace"}}), "unsupported_pretokenizer");
}

TEST_F(HfFolderOf, LeadingTokenIsBos) {
    of("qwen2");
    Json tokenizer = tokenizer_json(split_by(kLlama3));
    tokenizer["post_processor"] = {
        {"type", "Sequence"},
        {"processors",
         {{{"type", "ByteLevel"}},
          {{"type", "TemplateProcessing"},
           {"single", {{{"SpecialToken", {{"id", "<|end|>"}}}}, {{"Sequence", {{"id", "A"}}}}}}}}}};
    folder_.write("tokenizer.json", tokenizer.dump());
    const auto file = convert();
    EXPECT_EQ(*file->require_u32("tokenizer.ggml.bos_token_id"), 4u);
    EXPECT_TRUE(file->get_bool("tokenizer.ggml.add_bos_token")->value());
}

TEST_F(HfFolderOf, WrongTokenizers) {
    of("qwen2");
    const auto with = [&](const char *pointer, const Json &value) {
        Json tokenizer = tokenizer_json(split_by(kQwen2));
        tokenizer[Json::json_pointer(pointer)] = value;
        folder_.write("tokenizer.json", tokenizer.dump());
        return tag();
    };
    EXPECT_EQ(with("/model/type", "BPE"), "");
    EXPECT_EQ(with("/model/type", "Unigram"), "unsupported_tokenizer");
    EXPECT_EQ(with("/model/byte_fallback", true), "unsupported_tokenizer");
    EXPECT_EQ(with("/model", 3), "bad_tokenizer_json");
    EXPECT_EQ(with("/model/vocab", Json::array()), "bad_tokenizer_json");
    EXPECT_EQ(with("/model/vocab/a", 300), "shape_mismatch");
    EXPECT_EQ(with("/model/vocab/a", -1), "shape_mismatch");
    EXPECT_EQ(with("/model/merges/0", 3), "bad_tokenizer_json");
    EXPECT_EQ(with("/model/merges", nullptr), "bad_tokenizer_json");
    EXPECT_EQ(with("/added_tokens/0/id", 300), "shape_mismatch");
    EXPECT_EQ(with("/added_tokens/0", 1), "bad_tokenizer_json");
    folder_.write("tokenizer.json", "{");
    EXPECT_EQ(tag(), "bad_json");
    std::filesystem::remove(folder_ / "tokenizer.json");
    EXPECT_EQ(tag(), "no_tokenizer");
}

} // namespace
} // namespace realizar
