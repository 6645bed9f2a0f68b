#include "core/format/convert_hf.h"
#include "core/format/hf_config.h"
#include "core/format/sentencepiece_model.h"
#include "core/quant/codec.h"
#include "gguf_sketch.h"
#include "scratch.h"
#include "tests/support/shared.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <cmath>
#include <map>
#include <set>

namespace realizar {
namespace {

using namespace test;

std::string varint(uint64_t value) {
    std::string out;
    for (; value >= 128; value >>= 7)
        out += static_cast<char>(value | 128);
    return out + static_cast<char>(value);
}
std::string field(uint32_t number, const std::string &bytes) {
    return varint(number << 3 | 2) + varint(bytes.size()) + bytes;
}
std::string number(uint32_t field_number, uint64_t value) {
    return varint(field_number << 3) + varint(value);
}
std::string piece(const std::string &text, float score, uint64_t type) {
    return field(1, field(1, text) + varint(2 << 3 | 5) + raw(score) + number(3, type));
}
const std::string kPieces = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) +
                            piece("<0x00>", 0, 6) + piece("\xE2\x96\x81the", -1.5f, 1);
const std::string kTrainer = field(2, field(1, "ignored") + number(3, 2) + number(40, 0) +
                                          number(41, 1) + number(42, 2) + number(43, ~uint64_t(0)));

TEST(SentencePiece, ReadsAModel) {
    const std::string bytes =
        kPieces + kTrainer + field(3, number(3, 0) + number(4, 0)) + field(9, "x");
    const auto model = parse_sentencepiece_model(as_bytes(bytes));
    ASSERT_TRUE(model.ok()) << model.error().message;
    EXPECT_EQ(model->kind, SentencePieceModel::Kind::bpe);
    ASSERT_EQ(model->pieces.size(), 5u);
    EXPECT_EQ(model->pieces[4].text, "\xE2\x96\x81the");
    EXPECT_EQ(model->pieces[4].score, -1.5f);
    EXPECT_EQ(model->pieces[3].type, 6);
    EXPECT_EQ(model->pad_id, -1);
    EXPECT_EQ(model->eos_id, 2);
    EXPECT_FALSE(model->add_dummy_prefix);
    EXPECT_FALSE(model->remove_extra_whitespaces);
}

TEST(SentencePiece, MalformedModelsGiveTheNamedError) {
    const auto tag = [](const std::string &bytes) {
        const auto model = parse_sentencepiece_model(as_bytes(bytes));
        return model.ok() ? std::string("loaded") : model.error().tag;
    };
    EXPECT_EQ(tag(kPieces + kTrainer), "loaded");
    EXPECT_EQ(tag(""), "bad_vocab");
    EXPECT_EQ(tag(kTrainer), "bad_vocab");
    EXPECT_EQ(tag(piece("a", NAN, 1) + kTrainer), "bad_vocab");
    EXPECT_EQ(tag(piece("a", 0, 7) + kTrainer), "bad_vocab");
    EXPECT_EQ(tag(piece("a", 0, 0) + kTrainer), "bad_vocab");
    EXPECT_EQ(tag(piece(std::string(4097, 'a'), 0, 1) + kTrainer), "bad_vocab");
    EXPECT_EQ(tag(kPieces + field(2, number(3, 9))), "bad_vocab");
    EXPECT_EQ(tag(kPieces + field(2, number(41, 5))), "bad_token_id");
    EXPECT_EQ(tag(kPieces + field(2, number(41, ~uint64_t(0) - 1))), "bad_token_id");
    EXPECT_EQ(tag(kPieces + "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"),
              "bad_protobuf"); // 2^64-1 bytes
    EXPECT_EQ(tag(kPieces + "\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02"),
              "bad_protobuf");                                            // 65 bits
    EXPECT_EQ(tag(kPieces + "\x0B"), "bad_protobuf");                     // a group
    EXPECT_EQ(tag(kPieces + "\x0F"), "bad_protobuf");                     // wire type 7
    EXPECT_EQ(tag(kPieces + std::string("\x00\x00", 2)), "bad_protobuf"); // field 0
    EXPECT_EQ(tag(kPieces + field(2, "\x18")), "bad_protobuf");
    EXPECT_EQ(tag(field(1, "\x0A\x05"
                           "ab")),
              "bad_protobuf");
    const std::string whole = kPieces + kTrainer;
    for (size_t size = 0; size < whole.size(); ++size)
        for (const unsigned last : {0x00u, 0x7Fu, 0x80u, 0xFFu})
            tag(whole.substr(0, size) + static_cast<char>(last) + whole.substr(size + 1));
}

const std::string kConfig = R"({"architectures":["LlamaForCausalLM"],"hidden_size":32,
 "num_hidden_layers":1,"intermediate_size":48,"num_attention_heads":4,"num_key_value_heads":2,
 "max_position_embeddings":128,"rms_norm_eps":1e-5,"vocab_size":8,"hidden_act":"silu",
 "rope_theta":5000.0,"head_dim":6})";

std::string with(const std::string &key, const std::string &value) {
    auto config = nlohmann::json::parse(kConfig);
    config[key] = nlohmann::json::parse(value);
    return config.dump();
}

TEST(HfConfig, ReadsAndChecksValues) {
    const auto config = parse_hf_config(kConfig);
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_EQ(config->head_width, 6u);
    EXPECT_EQ(config->kv_heads, 2u);
    EXPECT_EQ(config->rope.base, 5000);
    EXPECT_FALSE(config->tied);
    const auto tag = [](const std::string &key, const std::string &value) {
        const auto parsed = parse_hf_config(with(key, value));
        return parsed.ok() ? std::string("ok") : parsed.error().tag;
    };
    EXPECT_EQ(tag("head_dim", "8"), "ok");
    EXPECT_EQ(tag("head_dim", "null"), "ok");
    for (const char *key :
         {"hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads",
          "num_key_value_heads", "max_position_embeddings", "vocab_size", "head_dim"})
        for (const char *value : {"0", "-1", "1.5", "\"8\"", "18446744073709551615", "[]"})
            EXPECT_EQ(tag(key, value), "bad_hparam") << key << " " << value;
    EXPECT_EQ(tag("hidden_size", "null"), "bad_hparam");
    EXPECT_EQ(tag("num_key_value_heads", "3"), "bad_hparam");
    EXPECT_EQ(tag("head_dim", "7"), "bad_hparam");
    EXPECT_EQ(tag("rms_norm_eps", "0"), "bad_hparam");
    EXPECT_EQ(tag("tie_word_embeddings", "1"), "bad_hparam");
    EXPECT_EQ(tag("hidden_act", "\"gelu\""), "bad_hparam");
    EXPECT_EQ(tag("architectures", "[\"GPT2LMHeadModel\"]"), "unsupported_model");
    EXPECT_EQ(tag("architectures", "7"), "unsupported_model");
    EXPECT_EQ(tag("rope_scaling", "{\"type\":\"dynamic\",\"factor\":2}"), "unsupported_rope");
    EXPECT_EQ(tag("rope_scaling", "{\"type\":\"linear\"}"), "bad_hparam");
    EXPECT_EQ(tag("rope_scaling", "3"), "bad_hparam");
    EXPECT_EQ(parse_hf_config("[]").error().tag, "bad_hparam");
    EXPECT_EQ(parse_hf_config("{").error().tag, "bad_json");

    const auto yarn = parse_hf_config(with(
        "rope_scaling",
        R"({"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":64,"beta_fast":16})"));
    ASSERT_TRUE(yarn.ok());
    EXPECT_EQ(yarn->rope.scaling, HfConfig::RopeScaling::yarn);
    EXPECT_EQ(yarn->rope.factor, 4);
    EXPECT_EQ(yarn->rope.original_context, 64u);
    EXPECT_EQ(yarn->rope.beta_fast, 16);
}

// A random model folder of the config above, untied, with biases where the family allows them.
struct Weight {
    std::vector<int64_t> dims;
    std::vector<float> values;
};

class HfFolder : public testing::Test {
  protected:
    void SetUp() override {
        const auto add = [&](const std::string &name, std::vector<int64_t> dims) {
            uint64_t count = 1;
            for (const int64_t dim : dims)
                count *= static_cast<uint64_t>(dim);
            Weight weight{std::move(dims), {}};
            std::normal_distribution<float> normal;
            for (uint64_t i = 0; i < count; ++i)
                weight.values.push_back(normal(random_));
            weights_[name] = std::move(weight);
        };
        add("model.embed_tokens.weight", {8, 32});
        add("model.norm.weight", {32});
        add("lm_head.weight", {8, 32});
        const std::string layer = "model.layers.0.";
        add(layer + "input_layernorm.weight", {32});
        add(layer + "post_attention_layernorm.weight", {32});
        add(layer + "self_attn.q_proj.weight", {24, 32});
        add(layer + "self_attn.q_proj.bias", {24});
        add(layer + "self_attn.k_proj.weight", {12, 32});
        add(layer + "self_attn.k_proj.bias", {12});
        add(layer + "self_attn.v_proj.weight", {12, 32});
        add(layer + "self_attn.o_proj.weight", {32, 24});
        add(layer + "mlp.gate_proj.weight", {48, 32});
        add(layer + "mlp.up_proj.weight", {48, 32});
        add(layer + "mlp.down_proj.weight", {32, 48});
        add(layer + "self_attn.rotary_emb.inv_freq", {3});
    }

    void write(const std::string &config = kConfig) {
        std::string header = "{", data;
        for (const auto &[name, weight] : weights_) {
            std::string shape;
            for (const int64_t dim : weight.dims)
                shape += std::string(shape.empty() ? "" : ",") + std::to_string(dim);
            const size_t begin = data.size();
            for (const float value : weight.values)
                data += raw(value);
            header += (header.size() > 1 ? ",\"" : "\"") + name + R"(":{"dtype":"F32","shape":[)" +
                      shape + R"(],"data_offsets":[)" + std::to_string(begin) + "," +
                      std::to_string(data.size()) + "]}";
        }
        header += "}";
        folder_.write("model.safetensors", raw(uint64_t(header.size())) + header + data);
        folder_.write("config.json", config);
        folder_.write("tokenizer.model", kPieces + kTrainer);
    }

    std::string tag(const ConvertOptions &options = {}) {
        const Status status = convert_hf(folder_.path(), folder_ / "out.gguf", options);
        EXPECT_FALSE(std::filesystem::exists(folder_ / "out.gguf") && !status.ok());
        return status.ok() ? "" : status.error().tag;
    }

    std::vector<float> written(const GgufFile &file, const std::string &name) {
        const GgufTensor *tensor = file.find_tensor(name);
        if (tensor == nullptr) return {};
        const uint64_t count = tensor->data.size() / dtype_info(tensor->dtype).block_bytes;
        std::vector<float> values(count);
        EXPECT_TRUE(decode_rows(tensor->dtype, tensor->data, values, count).ok());
        return values;
    }

    ScratchFolder folder_;
    std::mt19937 random_{9};
    std::map<std::string, Weight> weights_;
};

// Where element (head, j, i) of Hugging Face's [heads, 2, width / 2] order stands in GGUF's
// [heads, width / 2, 2].
std::vector<float> pairs_adjacent(const Weight &weight, size_t heads) {
    const size_t rows = static_cast<size_t>(weight.dims[0]);
    const size_t columns = weight.values.size() / rows, half = rows / heads / 2;
    std::vector<float> out(weight.values.size());
    for (size_t head = 0; head < heads; ++head)
        for (size_t j = 0; j < 2; ++j)
            for (size_t i = 0; i < half; ++i)
                for (size_t c = 0; c < columns; ++c)
                    out[((head * half + i) * 2 + j) * columns + c] =
                        weight.values[((head * 2 + j) * half + i) * columns + c];
    return out;
}

TEST_F(HfFolder, ConvertsNamesShapesAndRowOrder) {
    write();
    ConvertOptions options;
    options.dtype = DType::F32;
    options.name = "tiny";
    size_t reported = 0;
    options.on_tensor = [&](std::string_view, size_t index, size_t count) {
        EXPECT_EQ(index, reported++);
        EXPECT_EQ(count, 14u);
    };
    const Status status = convert_hf(folder_.path(), folder_ / "out.gguf", options);
    ASSERT_TRUE(status.ok()) << status.error().message;
    EXPECT_EQ(reported, 14u);
    const auto opened = GgufFile::open(folder_ / "out.gguf");
    ASSERT_TRUE(opened.ok());
    const GgufFile &file = **opened;
    const std::string layer = "model.layers.0.";
    EXPECT_EQ(written(file, "output.weight"), weights_["lm_head.weight"].values);
    EXPECT_EQ(written(file, "blk.0.ffn_down.weight"),
              weights_[layer + "mlp.down_proj.weight"].values);
    EXPECT_EQ(written(file, "blk.0.attn_v.weight"),
              weights_[layer + "self_attn.v_proj.weight"].values);
    EXPECT_EQ(written(file, "blk.0.attn_q.weight"),
              pairs_adjacent(weights_[layer + "self_attn.q_proj.weight"], 4));
    EXPECT_EQ(written(file, "blk.0.attn_q.bias"),
              pairs_adjacent(weights_[layer + "self_attn.q_proj.bias"], 4));
    EXPECT_EQ(written(file, "blk.0.attn_k.weight"),
              pairs_adjacent(weights_[layer + "self_attn.k_proj.weight"], 2));
    // Negative control: the order did change.
    EXPECT_NE(written(file, "blk.0.attn_q.weight"),
              weights_[layer + "self_attn.q_proj.weight"].values);
    EXPECT_EQ(file.find_tensor("blk.0.attn_output.weight")->dims, (std::vector<int64_t>{32, 24}));
    EXPECT_EQ(*file.require_string("general.name"), "tiny");
    EXPECT_EQ(*file.require_u32("llama.attention.key_length"), 6u);
    EXPECT_EQ(*file.require_u32("llama.rope.dimension_count"), 6u);
    EXPECT_EQ(*file.require_f32("llama.rope.freq_base"), 5000);
    const GgufArray *tokens = *file.get_array("tokenizer.ggml.tokens");
    ASSERT_EQ(tokens->count, 8u);
    EXPECT_EQ(tokens->strings[4], "\xE2\x96\x81the");
    EXPECT_EQ(tokens->strings[7], "[PAD7]");
    EXPECT_EQ((*file.get_array("tokenizer.ggml.token_type"))->integer(7), 5);
}

TEST_F(HfFolder, TypesFollowTheOption) {
    write();
    const auto type_of = [&](std::optional<DType> dtype, const char *name) {
        ConvertOptions options;
        options.dtype = dtype;
        EXPECT_EQ(tag(options), "");
        return (*GgufFile::open(folder_ / "out.gguf"))->find_tensor(name)->dtype;
    };
    EXPECT_EQ(type_of(DType::F16, "output.weight"), DType::F16);
    EXPECT_EQ(type_of(DType::BF16, "output.weight"), DType::BF16);
    EXPECT_EQ(type_of(std::nullopt, "output.weight"), DType::F32);
    EXPECT_EQ(type_of(DType::F16, "blk.0.attn_q.bias"), DType::F32);
    EXPECT_EQ(type_of(DType::F16, "output_norm.weight"), DType::F32);
    ConvertOptions bad;
    bad.dtype = DType::Q8_0;
    EXPECT_EQ(convert_hf(folder_.path(), folder_ / "out.gguf", bad).error().tag, "bad_dtype");
}

TEST_F(HfFolder, AddedTokensAndTemplateAreTaken) {
    write();
    folder_.write("tokenizer_config.json", R"({"add_bos_token":false,"chat_template":"{{ x }}",
        "added_tokens_decoder":{"1":{"content":"<s>","special":true},
        "5":{"content":"<|im_start|>","special":true},"6":{"content":"<tool>","special":false}}})");
    ASSERT_EQ(tag(), "");
    const auto file = *GgufFile::open(folder_ / "out.gguf");
    EXPECT_EQ((*file->get_array("tokenizer.ggml.tokens"))->strings[5], "<|im_start|>");
    const GgufArray *types = *file->get_array("tokenizer.ggml.token_type");
    EXPECT_EQ(types->integer(5), 3);
    EXPECT_EQ(types->integer(6), 4);
    EXPECT_EQ(types->integer(7), 5);
    EXPECT_EQ(file->get_bool("tokenizer.ggml.add_bos_token")->value(), false);
    EXPECT_EQ(*file->require_string("tokenizer.chat_template"), "{{ x }}");
    folder_.write("tokenizer_config.json", R"({"added_tokens_decoder":{"8":{"content":"x"}}})");
    std::filesystem::remove(folder_ / "out.gguf");
    EXPECT_EQ(tag(), "bad_tokenizer_config");
}

TEST_F(HfFolder, Llama3ScalingBecomesFactors) {
    write(with("rope_scaling", R"({"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,
        "high_freq_factor":4.0,"original_max_position_embeddings":64})"));
    ASSERT_EQ(tag(), "");
    const auto factors = written(**GgufFile::open(folder_ / "out.gguf"), "rope_freqs.weight");
    ASSERT_EQ(factors.size(), 3u);
    // 64 positions are 10.2, 0.60 and 0.035 turns of the three frequencies 1, 5000^(-1/3), 5000^(-2/3):
    // above 4 kept, below 1 divided by 8.
    EXPECT_EQ(factors, (std::vector<float>{1, 8, 8}));
}

TEST_F(HfFolder, WrongFoldersGiveTheNamedError) {
    write();
    ASSERT_EQ(tag(), "");
    std::filesystem::remove(folder_ / "out.gguf");
    const auto original = weights_;
    const auto changed = [&](auto edit) {
        weights_ = original;
        edit();
        write();
        return tag();
    };
    const std::string q = "model.layers.0.self_attn.q_proj.weight";
    EXPECT_EQ(changed([&] { weights_.erase(q); }), "missing_tensor");
    EXPECT_EQ(changed([&] { weights_.erase("lm_head.weight"); }), "missing_tensor");
    EXPECT_EQ(changed([&] { weights_["model.extra"] = {{1}, {1.0f}}; }), "unexpected_tensor");
    EXPECT_EQ(changed([&] { weights_[q].dims = {32, 24}; }), "shape_mismatch");
    EXPECT_EQ(changed([&] { weights_[q].values[100] = NAN; }), "non_finite");
    EXPECT_EQ(changed([&] { weights_[q].values[100] = 70000; }), "f16_overflow");
    weights_ = original;
    write(with("vocab_size", "4"));
    EXPECT_EQ(tag(), "shape_mismatch");
    write();
    folder_.write("tokenizer.model", kPieces + field(2, number(3, 1)));
    EXPECT_EQ(tag(), "unsupported_tokenizer");
    std::filesystem::remove(folder_ / "tokenizer.model");
    EXPECT_EQ(tag(), "no_tokenizer");
    std::filesystem::remove(folder_ / "model.safetensors");
    EXPECT_EQ(tag(), "open_failed");
}

std::string value_text(const GgufEntry &entry) {
    if (const auto *array = std::get_if<GgufArray>(&entry.value)) {
        std::string text = std::to_string(static_cast<int>(array->element)) + ":";
        for (const std::string_view s : array->strings)
            text += std::string(s) + "\n";
        return text + std::string(reinterpret_cast<const char *>(array->bytes.data()),
                                  array->bytes.size());
    }
    if (const auto *s = std::get_if<std::string_view>(&entry.value)) return std::string(*s);
    if (const auto *d = std::get_if<double>(&entry.value)) return std::to_string(*d);
    if (const auto *b = std::get_if<bool>(&entry.value)) return *b ? "true" : "false";
    if (const auto *i = std::get_if<int64_t>(&entry.value)) return std::to_string(*i);
    return std::to_string(std::get<uint64_t>(entry.value));
}

// The same model in both forms, one written by another program.
TEST(ConvertHf, EqualsThePublishedFile) {
    RZ_REQUIRE_SHARED(hf, "models/fable-draft-3m-hf");
    RZ_REQUIRE_SHARED(published, "models/fable-draft-3m-f16.gguf");
    const ScratchFolder folder;
    const Status status = convert_hf(hf, folder / "out.gguf");
    ASSERT_TRUE(status.ok()) << status.error().message;
    const auto out = *GgufFile::open(folder / "out.gguf"), expected = *GgufFile::open(published);
    ASSERT_EQ(out->tensors().size(), expected->tensors().size());
    for (const GgufTensor &tensor : expected->tensors()) {
        const GgufTensor *found = out->find_tensor(tensor.name);
        ASSERT_NE(found, nullptr) << tensor.name;
        EXPECT_EQ(found->dtype, tensor.dtype) << tensor.name;
        EXPECT_EQ(found->dims, tensor.dims) << tensor.name;
        EXPECT_TRUE(std::ranges::equal(found->data, tensor.data)) << tensor.name;
    }
    // Name, licence and description are not in the folder.
    const std::set<std::string_view> free = {"general.name", "general.license",
                                             "general.description"};
    size_t compared = 0;
    for (const GgufEntry &entry : expected->entries()) {
        if (free.contains(entry.key)) continue;
        const GgufEntry *found = out->find(entry.key);
        ASSERT_NE(found, nullptr) << entry.key;
        EXPECT_EQ(found->type, entry.type) << entry.key;
        EXPECT_EQ(value_text(*found), value_text(entry)) << entry.key;
        ++compared;
    }
    EXPECT_EQ(out->entries().size(), compared + 1); // and general.name
}

} // namespace
} // namespace realizar
