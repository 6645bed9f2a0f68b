#include "core/format/quantize_model.h"
#include "core/quant/codec.h"
#include "gguf_sketch.h"
#include "scratch.h"
#include "tests/support/shared.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <thread>

namespace realizar {
namespace {

using namespace test;

struct Source {
    std::string name;
    std::vector<int64_t> dims;
    DType dtype = DType::F32;
};

std::vector<float> gaussian(uint64_t count, std::mt19937 &random) {
    std::normal_distribution<float> normal(0, 0.02f);
    std::vector<float> values(count);
    for (float &value : values)
        value = normal(random);
    return values;
}

// A file with these tensors, random; `poison` becomes the value of the last element of the last one.
std::filesystem::path write_model(const ScratchFolder &folder, const std::vector<Source> &sources,
                                  std::optional<float> poison = {}) {
    std::mt19937 random(1);
    GgufWriter writer;
    writer.set_string("general.architecture", "llama");
    writer.set_u32("llama.block_count", 8);
    writer.set_u32("general.file_type", 0);
    writer.set_u32("general.alignment", 64);
    writer.set_string_array("tokenizer.ggml.tokens", {"a", "b"});
    for (const Source &s : sources)
        writer.add_tensor(s.name, s.dtype, s.dims);
    const auto path = folder / "in.gguf";
    EXPECT_TRUE(writer.begin(path).ok());
    for (const Source &s : sources) {
        uint64_t elements = 1;
        for (const int64_t dim : s.dims)
            elements *= static_cast<uint64_t>(dim);
        auto values = gaussian(elements, random);
        if (poison && &s == &sources.back()) values.back() = *poison;
        std::vector<std::byte> bytes(row_bytes(s.dtype, elements));
        if (s.dtype == DType::I32) {
            std::memcpy(bytes.data(), values.data(), bytes.size());
        } else {
            EXPECT_TRUE(encode_rows(s.dtype, values, bytes, elements).ok());
        }
        EXPECT_TRUE(writer.write_tensor(bytes).ok());
    }
    EXPECT_TRUE(writer.finish().ok());
    return path;
}

std::vector<Source> small_model() {
    std::vector<Source> sources = {
        {"token_embd.weight", {300, 256}, DType::F16},
        {"output_norm.weight", {256}},
        {"output.weight", {300, 256}},
        {"rope_freqs.weight", {1, 32}},
        {"positions", {7, 32}, DType::I32},
        {"blk.0.ffn_gate_inp.weight", {4, 256}},
    };
    for (int layer = 0; layer < 8; ++layer) {
        const std::string prefix = "blk." + std::to_string(layer) + ".";
        sources.push_back({prefix + "attn_norm.weight", {256}, DType::BF16});
        sources.push_back({prefix + "attn_q.weight", {64, 256}, DType::BF16});
        sources.push_back({prefix + "attn_v.weight", {32, 256}});
        sources.push_back({prefix + "ffn_down.weight", {256, 288}});
        sources.push_back({prefix + "ffn_down_exps.weight", {3, 20, 512}});
        sources.push_back({prefix + "odd.weight", {5, 33}});
    }
    return sources;
}

std::map<std::string, DType> types_of(const GgufFile &file) {
    std::map<std::string, DType> types;
    for (const GgufTensor &tensor : file.tensors())
        types[std::string(tensor.name)] = tensor.dtype;
    return types;
}

TEST(QuantizeModel, EveryTargetWritesWhatTheEncodersGive) {
    const ScratchFolder folder;
    const auto in = GgufFile::open(write_model(folder, small_model()));
    ASSERT_TRUE(in.ok()) << in.error().message;
    for (const QuantizeTarget &target : quantize_targets()) {
        SCOPED_TRACE(target.name);
        size_t reported = 0, fallbacks = 0;
        QuantizeOptions options;
        options.on_tensor = [&](const QuantizedTensor &t) {
            EXPECT_EQ(t.index, reported++);
            fallbacks += t.to != t.wanted;
        };
        const Status status = quantize_model(**in, folder / "out.gguf", target, options);
        ASSERT_TRUE(status.ok()) << status.error().message;
        EXPECT_EQ(reported, (*in)->tensors().size());
        const auto out = GgufFile::open(folder / "out.gguf");
        ASSERT_TRUE(out.ok()) << out.error().message;
        EXPECT_EQ(*(*out)->require_u32("general.file_type"), target.file_type);
        EXPECT_EQ(*(*out)->require_u32("general.quantization_version"), 2u);
        EXPECT_EQ(*(*out)->require_u32("general.alignment"), 64u);
        EXPECT_EQ((*(*out)->get_array("tokenizer.ggml.tokens"))->strings[1], "b");
        const auto types = types_of(**out);
        const bool ternary = target.base == DType::TQ1_0 || target.base == DType::TQ2_0;
        EXPECT_EQ(types.at("output_norm.weight"), DType::F32);
        EXPECT_EQ(types.at("blk.3.attn_norm.weight"), DType::F32);
        EXPECT_EQ(types.at("rope_freqs.weight"), DType::F32);
        EXPECT_EQ(types.at("positions"), DType::I32);
        EXPECT_EQ(types.at("blk.0.ffn_gate_inp.weight"), DType::F32);
        EXPECT_EQ(types.at("token_embd.weight"), ternary ? DType::Q4_K : target.base);
        EXPECT_EQ(types.at("blk.0.attn_q.weight"), target.base);
        const uint32_t block = dtype_info(target.base).block_elements;
        EXPECT_EQ(types.at("blk.1.odd.weight"), block == 1 ? target.base : DType::F16);
        EXPECT_EQ(dtype_info(types.at("blk.2.ffn_down.weight")).block_elements,
                  std::min(block, 32u));
        // IQ4_NL's Q5_K for the first layer's ffn_down does not fit either.
        EXPECT_EQ(fallbacks, block == 256                   ? 16u
                             : target.base == DType::IQ4_NL ? 9u
                             : block == 32                  ? 8u
                                                            : 0u);

        for (const GgufTensor &tensor : (*in)->tensors()) {
            const GgufTensor *written = (*out)->find_tensor(tensor.name);
            ASSERT_NE(written, nullptr);
            EXPECT_EQ(written->dims, tensor.dims);
            if (tensor.dtype == DType::I32) {
                EXPECT_TRUE(std::ranges::equal(written->data, tensor.data));
                continue;
            }
            const uint64_t elements = tensor.data.size() / dtype_info(tensor.dtype).block_bytes;
            std::vector<float> values(elements);
            ASSERT_TRUE(decode_rows(tensor.dtype, tensor.data, values, elements).ok());
            std::vector<std::byte> expected(row_bytes(written->dtype, elements));
            ASSERT_TRUE(encode_rows(written->dtype, values, expected, elements).ok());
            EXPECT_TRUE(std::ranges::equal(written->data, expected)) << tensor.name;
        }
    }
}

TEST(QuantizeModel, MixGivesMoreBitsWhereTheyCount) {
    const ScratchFolder folder;
    auto sources = small_model();
    const QuantizeTarget &mix = *find_quantize_target("q4_k_m");
    const auto in = GgufFile::open(write_model(folder, sources));
    ASSERT_TRUE(quantize_model(**in, folder / "out.gguf", mix).ok());
    auto types = types_of(**GgufFile::open(folder / "out.gguf"));
    EXPECT_EQ(types.at("output.weight"), DType::Q6_K);
    EXPECT_EQ(types.at("token_embd.weight"), DType::Q4_K);
    // 8 layers: the first, the last, and 1 + 2, 1 + 5.
    for (int layer = 0; layer < 8; ++layer) {
        const bool more = layer == 0 || layer == 3 || layer == 6 || layer == 7;
        const std::string prefix = "blk." + std::to_string(layer) + ".";
        EXPECT_EQ(types.at(prefix + "attn_v.weight"), more ? DType::Q6_K : DType::Q4_K) << layer;
        EXPECT_EQ(types.at(prefix + "ffn_down_exps.weight"), more ? DType::Q6_K : DType::Q4_K)
            << layer;
        EXPECT_EQ(types.at(prefix + "attn_q.weight"), DType::Q4_K);
    }
    std::erase_if(sources, [](const Source &s) { return s.name == "output.weight"; });
    const auto tied = GgufFile::open(write_model(folder, sources));
    ASSERT_TRUE(quantize_model(**tied, folder / "out.gguf", mix).ok());
    EXPECT_EQ(types_of(**GgufFile::open(folder / "out.gguf")).at("token_embd.weight"), DType::Q6_K);
}

// Rows of 33, 160 and 256 elements under types with blocks of 1, 32 and 256.
TEST(QuantizeModel, RowsThatDoNotFillABlockFallBack) {
    constexpr struct {
        DType wanted, with_32;
    } kFallbacks[] = {
        {DType::Q2_K, DType::IQ4_NL}, {DType::Q3_K, DType::IQ4_NL}, {DType::IQ4_XS, DType::IQ4_NL},
        {DType::Q4_K, DType::Q5_0},   {DType::Q5_K, DType::Q5_1},   {DType::Q6_K, DType::Q8_0},
        {DType::TQ1_0, DType::Q4_0},  {DType::TQ2_0, DType::Q4_0},  {DType::Q8_0, DType::Q8_0},
        {DType::MXFP4, DType::MXFP4}, {DType::BF16, DType::BF16},
    };
    const QuantizeTarget &target = *find_quantize_target("Q8_0");
    for (const auto &[wanted, with_32] : kFallbacks) {
        SCOPED_TRACE(dtype_info(wanted).name);
        const TypeOverride override{"w", wanted};
        const auto to = [&](int64_t row) {
            const GgufTensor tensor{"w", DType::F32, {4, row}, 0, {}};
            const TypeChoice choice = choose_type(tensor, target, std::span(&override, 1), {});
            EXPECT_EQ(choice.wanted, wanted);
            return choice.to;
        };
        EXPECT_EQ(to(256), wanted);
        EXPECT_EQ(to(160), with_32);
        EXPECT_EQ(to(33), wanted == DType::BF16 ? DType::BF16 : DType::F16);
    }
}

DType type_in(const char *target, std::string_view name, const MixFacts &facts) {
    const GgufTensor tensor{name, DType::F16, {512, 512}, 0, {}};
    return choose_type(tensor, *find_quantize_target(target), {}, facts).to;
}

// Types of tensors in files of these names that are in circulation, models of 32 layers.
TEST(QuantizeModel, MixesAreTheUsualOnes) {
    MixFacts facts;
    facts.layers = 32;
    facts.tied = false;
    using enum DType;
    const auto expect = [&](const char *target, const char *name, DType type) {
        EXPECT_EQ(type_in(target, name, facts), type) << target << " " << name;
    };
    for (const char *target : {"Q4_0", "Q5_1", "Q2_K", "Q3_K_S", "Q4_K_M", "IQ4_XS", "TQ2_0"})
        expect(target, "output.weight", Q6_K);
    expect("Q8_0", "output.weight", Q8_0);
    expect("MXFP4", "output.weight", Q8_0);
    expect("Q2_K", "blk.9.attn_v.weight", Q3_K);
    expect("Q2_K", "blk.9.attn_q.weight", Q2_K);
    expect("Q2_K_S", "blk.3.ffn_down.weight", Q4_K);
    expect("Q2_K_S", "blk.4.ffn_down.weight", Q2_K);
    expect("Q3_K_M", "blk.1.attn_v.weight", Q5_K);
    expect("Q3_K_M", "blk.2.attn_v.weight", Q4_K);
    expect("Q3_K_M", "blk.1.ffn_down.weight", Q5_K);
    expect("Q3_K_M", "blk.2.ffn_down.weight", Q4_K);
    expect("Q3_K_M", "blk.31.attn_output.weight", Q4_K);
    expect("Q3_K_M", "blk.31.ffn_up.weight", Q3_K);
    expect("Q3_K_L", "blk.31.ffn_down.weight", Q5_K);
    expect("Q4_K_S", "blk.3.attn_v.weight", Q5_K);
    expect("Q4_K_S", "blk.4.attn_v.weight", Q4_K);
    expect("Q4_K_M", "blk.4.attn_v.weight", Q4_K);
    expect("Q4_K_M", "blk.6.attn_v.weight", Q6_K);
    expect("Q5_K_M", "blk.31.ffn_down.weight", Q6_K);
    expect("Q4_K_M", "blk.0.attn_qkv.weight", Q5_K);
    expect("MXFP4_MOE", "blk.0.ffn_up_exps.weight", MXFP4);
    expect("MXFP4_MOE", "blk.0.attn_q.weight", Q8_0);
    expect("Q4_0", "blk.0.ffn_down.weight", Q4_0);
    expect("IQ4_XS", "blk.0.ffn_down.weight", Q5_K);
    facts.importance = true;
    expect("Q4_0", "blk.0.ffn_down.weight", Q4_1);
    expect("IQ4_XS", "blk.0.ffn_down.weight", IQ4_XS);
    facts.query_heads_per_key = 4;
    expect("Q2_K", "blk.9.attn_v.weight", Q4_K);
    expect("IQ4_NL", "blk.9.attn_v.weight", Q5_K);
    facts.experts = 8;
    expect("Q4_K_M", "blk.9.attn_k.weight", Q8_0);
    expect("Q4_K_M", "blk.9.attn_output.weight", Q5_K);
    EXPECT_EQ(find_quantize_target("q4_k"), find_quantize_target("Q4_K_M"));
}

TEST(QuantizeModel, OverridesByPattern) {
    const auto type_of = [](std::string_view name, const std::vector<std::string> &texts) {
        std::vector<TypeOverride> overrides;
        for (const std::string &text : texts) {
            auto one = parse_type_override(text);
            EXPECT_TRUE(one.ok()) << text;
            overrides.push_back(*one);
        }
        const GgufTensor tensor{name, DType::F32, {4, 256}, 0, {}};
        return choose_type(tensor, *find_quantize_target("Q8_0"), overrides, {}).to;
    };
    const std::string_view name = "blk.12.ffn_down.weight";
    for (const char *hit : {"ffn_down=q4_k", "blk.12.*=Q4_K", "blk.??.ffn*weight=Q4_K", "*=Q4_K",
                            "blk.12.ffn_down.weight=Q4_K", "b*1*d*=Q4_K"})
        EXPECT_EQ(type_of(name, {hit}), DType::Q4_K) << hit;
    for (const char *miss :
         {"ffn_up=Q4_K", "blk.1.*=Q4_K", "blk.?.ffn=Q4_K", "weight?=Q4_K", "down*ffn=Q4_K"})
        EXPECT_EQ(type_of(name, {miss}), DType::Q8_0) << miss;
    EXPECT_EQ(type_of(name, {"ffn=Q6_K", "*=Q2_K"}), DType::Q6_K);
    EXPECT_EQ(type_of("blk.0.ffn_gate_inp.weight", {}), DType::F32);
    EXPECT_EQ(type_of("blk.0.ffn_gate_inp.weight", {"gate_inp=F16"}), DType::F16);
    const GgufTensor vector{"blk.12.ffn_norm.weight", DType::F32, {256}, 0, {}};
    const TypeOverride all = *parse_type_override("blk.12.*=Q4_K");
    EXPECT_EQ(choose_type(vector, *find_quantize_target("Q8_0"), std::span(&all, 1), {}).to,
              DType::F32);
    for (const char *bad : {"ffn_down", "=Q4_K", "x=", "x=Q9", "x=IQ2_XS", "x=I8"})
        EXPECT_EQ(parse_type_override(bad).error().tag, "bad_option") << bad;
}

// Larger than one batch, so that pieces and batches are crossed; run backwards on two threads.
TEST(QuantizeModel, ThreadsAndPiecesDoNotChangeTheBytes) {
    const ScratchFolder folder;
    const auto in = GgufFile::open(
        write_model(folder, {{"token_embd.weight", {300, 256}}, {"big.weight", {4099, 1056}}}));
    ASSERT_TRUE(in.ok());
    const QuantizeTarget &target = *find_quantize_target("Q8_0");
    ASSERT_TRUE(quantize_model(**in, folder / "one.gguf", target).ok());
    QuantizeOptions options;
    uint64_t most = 0;
    options.parallel_for = [&](uint64_t count, const std::function<void(uint64_t)> &body) {
        most = std::max(most, count);
        const auto half = [&](uint64_t parity) {
            for (uint64_t i = count; i-- > 0;)
                if (i % 2 == parity) body(i);
        };
        std::thread other(half, 1);
        half(0);
        other.join();
    };
    ASSERT_TRUE(quantize_model(**in, folder / "two.gguf", target, options).ok());
    EXPECT_EQ(most, 64u);
    EXPECT_EQ(read_file(folder / "one.gguf"), read_file(folder / "two.gguf"));
}

TEST(QuantizeModel, CanReplaceItsInput) {
    const ScratchFolder folder;
    const auto path = write_model(folder, small_model());
    const auto in = GgufFile::open(path);
    ASSERT_TRUE(quantize_model(**in, path, *find_quantize_target("Q4_0")).ok());
    EXPECT_EQ((*GgufFile::open(path))->find_tensor("blk.0.attn_q.weight")->dtype, DType::Q4_0);
}

TEST(QuantizeModel, RefusesNonFiniteWeightsAndSplitModels) {
    const ScratchFolder folder;
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
        const auto in = GgufFile::open(write_model(folder, small_model(), bad));
        ASSERT_TRUE(in.ok());
        const Status status =
            quantize_model(**in, folder / "out.gguf", *find_quantize_target("Q8_0"));
        ASSERT_FALSE(status.ok());
        EXPECT_EQ(status.error().tag, "non_finite");
        EXPECT_NE(status.error().message.find("blk.7.odd.weight"), std::string::npos);
        EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
    }
    GgufWriter writer;
    writer.set_u32("split.count", 2);
    ASSERT_TRUE(writer.begin(folder / "split.gguf").ok());
    ASSERT_TRUE(writer.finish().ok());
    const std::string part = read_file(folder / "split.gguf"); // without the others beside it
    const auto in = GgufFile::parse(std::as_bytes(std::span(part)), "part");
    EXPECT_EQ(quantize_model(**in, folder / "out.gguf", quantize_targets()[0]).error().tag,
              "split_model");
    EXPECT_EQ(find_quantize_target("Q9"), nullptr);
}

TEST(QuantizeModel, RealModelWithinMemory) {
    RZ_REQUIRE_SHARED(model, "models/fable-21m-f16.gguf");
    const ScratchFolder folder;
    const auto in = GgufFile::open(model);
    ASSERT_TRUE(in.ok());
    const bool measured = kMemoryIsMeasurable && reset_peak_memory();
    const uint64_t before = peak_memory();
    const Status status = quantize_model(**in, folder / "out.gguf", *find_quantize_target("Q8_0"));
    ASSERT_TRUE(status.ok()) << status.error().message;
    if (measured) {
        EXPECT_LT(peak_memory() - before, (*in)->size() + 48 * kMiB);
    }
    const auto out = GgufFile::open(folder / "out.gguf");
    ASSERT_TRUE(out.ok());
    const uint64_t expected = (*in)->size() / 2 * 34 / 32;
    EXPECT_NEAR(static_cast<double>((*out)->size()), static_cast<double>(expected),
                0.03 * static_cast<double>(expected));
}

} // namespace
} // namespace realizar
