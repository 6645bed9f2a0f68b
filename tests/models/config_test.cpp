// What a model file may say about its network: numbers 37, 41, 42, 43 and 45 of the table of malformed
// files (the container's own are in tests/format, the vocabulary's in tests/tokenizer).
#include "core/models/model.h"
#include "tests/models/tiny_model.h"
#include "tests/support/engines.h"

#include <cmath>
#include <functional>
#include <limits>

namespace realizar {
namespace {

using test::TinyModel;

Result<std::shared_ptr<const ModelFile>> open(const TinyModel &model) {
    const test::TemporaryFolder folder;
    model.write(folder.path() / "tiny.gguf");
    RZ_ASSIGN(auto file, GgufFile::open(folder.path() / "tiny.gguf"));
    return ModelFile::open(std::move(file));
}

struct Case {
    const char *name;
    const char *tag;
    const char *mentions; // a word of the message
    std::function<void(TinyModel &)> change;
};

template <class T>
std::function<void(TinyModel &)> key(const char *name, T value) {
    return [=](TinyModel &model) { model.keys[name] = value; };
}
std::function<void(TinyModel &)> shape(const char *name, std::vector<int64_t> dims) {
    return [=](TinyModel &model) { model.tensors[name].dims = dims; };
}

// Four experts of which one is used, and one more key.
template <class T>
std::function<void(TinyModel &)> experts(const char *name, T value) {
    return [=](TinyModel &model) {
        model.keys["llama.expert_count"] = 4u;
        model.keys["llama.expert_used_count"] = 1u;
        model.keys[name] = value;
    };
}

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

const Case kCases[] = {
    {"NoLayers", "bad_hparam", "block_count", key("llama.block_count", 0u)},
    {"ManyLayers", "bad_hparam", "513", key("llama.block_count", 513u)},
    {"HugeLayers", "bad_hparam", "block_count", key("llama.block_count", 1u << 31)},
    {"NoHeads", "bad_hparam", "head_count", key("llama.attention.head_count", 0u)},
    {"MoreHeadsThanWidth", "bad_hparam", "head_count",
     [](TinyModel &m) { m.keys["llama.attention.head_count"] = 16u; }},
    {"NoKvHeads", "bad_hparam", "head_count_kv", key("llama.attention.head_count_kv", 0u)},
    {"KvHeadsDoNotDivide", "bad_hparam", "head_count_kv", key("llama.attention.head_count_kv", 3u)},
    {"RotatedAboveHead", "bad_hparam", "rope.dimension_count",
     key("llama.rope.dimension_count", 6u)},
    {"RotatedOdd", "bad_hparam", "even", key("llama.rope.dimension_count", 3u)},
    {"NoWidth", "bad_hparam", "embedding_length", key("llama.embedding_length", 0u)},
    {"NoContext", "bad_hparam", "context_length", key("llama.context_length", 0u)},
    {"HugeForward", "bad_hparam", "feed_forward_length", key("llama.feed_forward_length", ~0u)},
    {"EpsilonNan", "bad_hparam", "epsilon", key("llama.attention.layer_norm_rms_epsilon", kNan)},
    {"EpsilonNegative", "bad_hparam", "epsilon",
     key("llama.attention.layer_norm_rms_epsilon", -1.0f)},
    {"RopeBaseInfinite", "bad_hparam", "freq_base", key("llama.rope.freq_base", kInfinity)},
    {"RopeFactorZero", "bad_hparam", "scaling.factor", key("llama.rope.scaling.factor", 0.0f)},
    {"HeadsDifferByLayer", "bad_hparam", "the same size in all layers",
     key("llama.attention.head_count_kv", std::vector<int32_t>{1, 2})},
    {"NegativeSizes", "bad_hparam", "feed_forward_length",
     key("llama.feed_forward_length", std::vector<int32_t>{-12, -12})},
    {"UnknownScaling", "bad_hparam", "magic", key("llama.rope.scaling.type", std::string("magic"))},
    {"KeyOfWrongType", "wrong_type", "block_count", key("llama.block_count", std::string("two"))},
    {"KeyMissing", "missing_key", "context_length",
     [](TinyModel &m) { m.keys.erase("llama.context_length"); }},
    {"NoArchitecture", "missing_key", "general.architecture",
     [](TinyModel &m) { m.keys.erase("general.architecture"); }},
    {"ArchitectureNotText", "wrong_type", "general.architecture", key("general.architecture", 7u)},
    {"UnknownArchitecture", "unknown_architecture", "qwen2",
     key("general.architecture", std::string("lama"))},
    {"ExpertsWithoutNumberUsed", "missing_key", "expert_used_count", key("llama.expert_count", 8u)},
    {"MoreExpertsUsedThanThere", "bad_hparam", "1 to 4", experts("llama.expert_used_count", 5u)},
    {"NoExpertUsed", "bad_hparam", "expert_used_count", experts("llama.expert_used_count", 0u)},
    {"HugeExpertCount", "bad_hparam", "expert_count", experts("llama.expert_count", ~0u)},
    {"ExpertTensorsMissing", "missing_tensor", "ffn_gate_inp", experts("llama.expert_count", 4u)},
    {"ExpertGatingUnknown", "bad_hparam", "expert_gating_func",
     experts("llama.expert_gating_func", 4u)},
    {"ExpertGroupsDoNotDivide", "bad_hparam", "a divisor of expert_count 4",
     experts("llama.expert_group_count", 3u)},
    {"ExpertGroupsTooFew", "bad_hparam", "expert_used_count",
     [](TinyModel &m) {
         experts("llama.expert_group_count", 4u)(m);
         m.keys["llama.expert_used_count"] = 2u;
     }},
    {"ExpertScaleNan", "bad_hparam", "expert_weights_scale",
     experts("llama.expert_weights_scale", kNan)},
    {"WindowHuge", "bad_hparam", "sliding_window", key("llama.attention.sliding_window", ~0u)},
    {"WindowPatternZero", "bad_hparam", "sliding_window_pattern",
     [](TinyModel &m) {
         m.keys["llama.attention.sliding_window"] = 8u;
         m.keys["llama.attention.sliding_window_pattern"] = 0u;
     }},
    {"ScaleOfScoresNegative", "bad_hparam", "attention.scale", key("llama.attention.scale", -1.0f)},
    {"SoftcapInfinite", "bad_hparam", "softcapping",
     key("llama.final_logit_softcapping", kInfinity)},
    {"LogitScaleNan", "bad_hparam", "logit_scale", key("llama.logit_scale", kNan)},
    {"LatentRankHuge", "bad_hparam", "kv_lora_rank", key("llama.attention.kv_lora_rank", ~0u)},
    {"LatentAllRotated", "bad_hparam", "less than the head width",
     key("llama.attention.kv_lora_rank", 8u)},
    {"FusedTooShort", "shape_mismatch", "attn_qkv", shape("blk.0.attn_qkv.weight", {15, 8})},
    {"HeadNormTooLong", "shape_mismatch", "attn_q_norm", shape("blk.0.attn_q_norm.weight", {5})},
    {"PositionsTooFew", "shape_mismatch", "position_embd", shape("position_embd.weight", {31, 8})},
    {"SinksTooMany", "shape_mismatch", "attn_sinks", shape("blk.1.attn_sinks.weight", {3})},
    {"NoEmbedding", "missing_tensor", "token_embd",
     [](TinyModel &m) { m.tensors.erase("token_embd.weight"); }},
    {"EmbeddingOfRankOne", "missing_tensor", "token_embd", shape("token_embd.weight", {128})},
    {"TensorMissing", "missing_tensor", "blk.1.ffn_up.weight",
     [](TinyModel &m) { m.tensors.erase("blk.1.ffn_up.weight"); }},
    {"MatrixTransposed", "shape_mismatch", "[8, 12]", shape("blk.1.ffn_down.weight", {12, 8})},
    {"MatrixOfRankThree", "shape_mismatch", "attn_k", shape("blk.0.attn_k.weight", {1, 4, 8})},
    {"VectorTooLong", "shape_mismatch", "output_norm", shape("output_norm.weight", {9})},
    {"HeadOfOtherVocabulary", "shape_mismatch", "output.weight", shape("output.weight", {15, 8})},
    {"BiasTooShort", "shape_mismatch", "attn_q.bias", shape("blk.0.attn_q.bias", {7})},
    {"RopeFactorsTooLong", "shape_mismatch", "rope_freqs", shape("rope_freqs.weight", {3})},
};

class BadModel : public testing::TestWithParam<Case> {};

TEST_P(BadModel, IsRefused) {
    TinyModel model;
    GetParam().change(model);
    const auto opened = open(model);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().tag, GetParam().tag) << opened.error().message;
    EXPECT_NE(opened.error().message.find(GetParam().mentions), std::string::npos)
        << opened.error().message;
}

INSTANTIATE_TEST_SUITE_P(Models, BadModel, testing::ValuesIn(kCases),
                         [](const auto &one) { return std::string(one.param.name); });

TEST(GoodModel, TheTinyOneAndItsVariants) {
    const std::function<void(TinyModel &)> changes[] = {
        [](TinyModel &) {},
        shape("output.weight", {16, 8}),
        shape("blk.0.attn_q.bias", {8}),
        shape("rope_freqs.weight", {2}),
        shape("a.tensor.nobody.wants", {3, 5, 7}),
        key("llama.rope.dimension_count", 2u),
        key("llama.rope.scaling.type", std::string("yarn")),
        key("llama.rope.scale_linear", 2.0f),
        key("llama.attention.head_count_kv", std::vector<int32_t>{1, 1}),
    };
    for (const auto &change : changes) {
        TinyModel model;
        change(model);
        const auto opened = open(model);
        EXPECT_TRUE(opened.ok()) << test::message_of(opened.error());
    }
}

TEST(GoodModel, ConfigIsRead) {
    TinyModel model;
    model.keys["general.name"] = std::string("tiny");
    model.keys["llama.rope.scaling.type"] = std::string("linear");
    model.keys["llama.rope.scaling.factor"] = 4.0f;
    RZ_ASSERT_OK(const auto opened, open(model));
    const ModelConfig &config = opened->config();
    EXPECT_EQ(config.name, "tiny");
    EXPECT_EQ(config.layers, 2u);
    EXPECT_EQ(config.key_width, 4u);
    EXPECT_EQ(config.value_width, 4u);
    EXPECT_EQ(config.query_size(), 8u);
    EXPECT_EQ(config.key_size(), 4u);
    EXPECT_EQ(config.vocabulary, 16u);
    EXPECT_EQ(config.rope.rotated, 4u);
    EXPECT_EQ(config.rope.scale, 0.25f);
    EXPECT_FALSE(config.rope.halves);
}

// A factor without a type is linear scaling, and none with the type none.
TEST(GoodModel, RopeFactorAlone) {
    for (const char *type : {"", "none", "linear"}) {
        TinyModel model;
        model.keys["llama.rope.scaling.factor"] = 4.0f;
        if (*type) model.keys["llama.rope.scaling.type"] = std::string(type);
        RZ_ASSERT_OK(const auto opened, open(model));
        EXPECT_EQ(opened->config().rope.scale, std::string(type) == "none" ? 1.0f : 0.25f) << type;
    }
}

TEST(GoodModel, WindowsThatTheFamilyHas) {
    TinyModel model;
    const auto keys = model.keys;
    for (const auto &[name, value] : keys)
        if (name.starts_with("llama.")) model.keys["gemma2." + name.substr(6)] = value;
    model.keys["general.architecture"] = std::string("gemma2");
    for (const std::string layer : {"blk.0.", "blk.1."})
        for (const char *norm : {"post_attention_norm.weight", "post_ffw_norm.weight"})
            model.tensors[layer + norm].dims = {TinyModel::kWidth};
    RZ_ASSERT_OK(const auto silent, open(model));
    EXPECT_EQ(silent->config().windows, (std::vector<uint32_t>{4096, 0}));
    model.keys["gemma2.attention.sliding_window"] = 512u;
    RZ_ASSERT_OK(const auto told, open(model));
    EXPECT_EQ(told->config().windows, (std::vector<uint32_t>{512, 0}));
}

} // namespace
} // namespace realizar
