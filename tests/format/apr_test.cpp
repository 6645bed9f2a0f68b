// APR files against bytes that were put together by hand from the format's description.
#include "core/common/crc32.h"
#include "core/format/apr.h"
#include "core/format/apr_model.h"
#include "core/format/apr_v1.h"
#include "core/format/lz4.h"
#include "core/format/rewrite.h"
#include "gguf_sketch.h"
#include "scratch.h"

#include <gtest/gtest.h>

#include <cmath>

namespace realizar {
namespace {

using namespace test;

std::string unhex(std::string_view text) {
    std::string out;
    for (size_t i = 0; i + 1 < text.size();) {
        if (text[i] == ' ') {
            ++i;
            continue;
        }
        out += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
        i += 2;
    }
    return out;
}

// Bit by bit, as in the definition.
uint32_t naive_crc(std::string_view bytes) {
    uint32_t crc = 0xFFFFFFFF;
    for (const char c : bytes) {
        crc ^= static_cast<uint8_t>(c);
        for (int bit = 0; bit < 8; ++bit)
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
    }
    return ~crc;
}

// The format's golden file: bias F32 [2] = {.5, -.5}, weight F32 [2, 3] = {1 ... 6}.
std::string golden() {
    std::string out = unhex("41505200 0200 0004 02000000 4000000000000000 17000000 8000000000000000"
                            "0001000000000000 d7baa74e");
    out.resize(64, '\0');
    out += R"({"model_type":"linear"})";
    out.resize(128, '\0');
    out += unhex("0400 62696173 00 01 0200000000000000 0000000000000000 0800000000000000"
                 "0600 776569676874 00 02 0200000000000000 0300000000000000 4000000000000000"
                 "1800000000000000");
    out.resize(256, '\0');
    out += raw(0.5f) + raw(-0.5f);
    out.resize(320, '\0');
    for (int i = 1; i <= 6; ++i)
        out += raw(static_cast<float>(i));
    out.resize(384, '\0');
    return out + unhex("60742be7");
}

TEST(Crc32, KnownValues) {
    EXPECT_EQ(Crc32::of(as_bytes("123456789")), 0xCBF43926u);
    std::mt19937 random(3);
    for (size_t size = 0; size < 70; ++size) {
        const std::string bytes = random_bytes(random, size);
        EXPECT_EQ(Crc32::of(as_bytes(bytes)), naive_crc(bytes));
    }
}

TEST(Apr, ReadsTheGoldenFile) {
    const std::string bytes = golden();
    ASSERT_EQ(bytes.size(), 388u);
    const auto apr = parse_apr(as_bytes(bytes));
    ASSERT_TRUE(apr.ok()) << apr.error().message;
    EXPECT_EQ(apr->metadata["model_type"], "linear");
    ASSERT_EQ(apr->tensors.size(), 2u);
    EXPECT_EQ(apr->tensors[1].name, "weight");
    EXPECT_EQ(apr->tensors[1].dims, (std::vector<int64_t>{2, 3}));
    std::vector<float> values(6);
    ASSERT_TRUE(decode_apr(apr->tensors[1], 0, values).ok());
    EXPECT_EQ(values, (std::vector<float>{1, 2, 3, 4, 5, 6}));
    // Without the checksum at the end, and without the last padding, too.
    for (const size_t size : {384u, 344u})
        EXPECT_TRUE(parse_apr(as_bytes(bytes).first(size)).ok()) << size;
    const auto model = GgufFile::parse(as_bytes(bytes), "golden");
    ASSERT_TRUE(model.ok()) << model.error().message;
    EXPECT_STREQ((*model)->format(), "APR");
    EXPECT_EQ(**(*model)->get_string("general.architecture"), "linear");
    EXPECT_EQ((*model)->find_tensor("bias")->data.data(), as_bytes(bytes).data() + 256);
}

TEST(Apr, WritesTheGoldenFile) {
    const ScratchFolder folder;
    AprWriter writer(nlohmann::json{{"model_type", "linear"}});
    writer.add_tensor("bias", DType::F32, {2});
    writer.add_tensor("weight", DType::F32, {2, 3});
    ASSERT_TRUE(writer.begin(folder / "out.apr").ok());
    const std::string bytes = golden();
    ASSERT_TRUE(writer.write_tensor(as_bytes(bytes).subspan(256, 8)).ok());
    ASSERT_TRUE(writer.write_tensor(as_bytes(bytes).subspan(320, 11)).ok());
    EXPECT_FALSE(writer.finish().ok());
    ASSERT_TRUE(writer.write_tensor(as_bytes(bytes).subspan(331, 13)).ok());
    ASSERT_TRUE(writer.finish().ok());
    EXPECT_TRUE(read_file(folder / "out.apr") == bytes);
}

// Recomputes the checksum of the header and drops that at the end.
std::string sealed(std::string bytes) {
    bytes.resize(384);
    const uint32_t crc = naive_crc(bytes.substr(0, 40) + bytes.substr(44, 20));
    return bytes.replace(40, 4, raw(crc));
}

struct Mutation {
    const char *tag;
    std::function<void(std::string &)> edit;
};

TEST(Apr, Malformed) {
    const auto put = [](size_t at, auto value) {
        return [=](std::string &bytes) { bytes.replace(at, sizeof value, raw(value)); };
    };
    const Mutation mutations[] = {
        {"bad_magic", put(0, '1')},
        {"bad_magic", put(3, '1')},
        {"unsupported_version", put(4, char(3))},
        {"unsupported_flag", put(6, uint16_t(4))},
        {"unsupported_flag", put(6, uint16_t(8))},
        {"unsupported_flag", put(6, uint16_t(0x10))},
        {"unsupported_flag", put(6, uint16_t(0x800))},
        {"unsupported_flag", put(6, uint16_t(2))},
        {"bad_lz4", put(6, uint16_t(1))}, // the flag alone
        {"count_exceeds_file", put(8, uint32_t(3000))},
        {"truncated_index", put(32, uint64_t(192))},
        {"bad_offset", put(12, uint64_t(1) << 40)},
        {"bad_offset", put(12, uint64_t(0))},
        {"metadata_too_large", put(20, uint32_t(0xFFFFFFFF))},
        {"bad_json", put(20, uint32_t(22))},
        {"bad_offset", put(24, ~uint64_t(0))},
        {"bad_offset", put(32, uint64_t(1) << 63)},
        {"bad_metadata", [](std::string &b) { b.replace(64, 23, "[1,2,3,4,5,6,7,8,9,10] "); }},
        {"name_too_long", put(128, uint16_t(0))},
        {"name_too_long", put(128, uint16_t(257))},
        {"bad_name", put(130, '\n')},
        {"unsorted_index", put(130, 'x')},
        {"duplicate_tensor", [](std::string &b) { b.replace(160, 32, std::string(b, 128, 32)); }},
        {"bad_tensor_type", put(134, char(77))},
        {"bad_tensor_type", put(134, char(200))},
        {"size_mismatch", put(134, char(1))},
        {"size_mismatch", put(134, char(128))},
        {"row_not_block_multiple", put(134, char(12))},
        {"too_many_dims", put(135, char(9))},
        {"bad_dim", put(136, uint64_t(0))},
        {"bad_dim", put(136, ~uint64_t(0))},
        {"bad_offset", put(144, uint64_t(4))},
        {"bad_offset", put(144, uint64_t(1) << 62)},
        {"overlap", put(144, uint64_t(64))},
        {"size_mismatch", put(152, uint64_t(4))},
    };
    for (const Mutation &mutation : mutations) {
        std::string bytes = golden();
        mutation.edit(bytes);
        const auto failed = parse_apr(as_bytes(sealed(bytes)));
        ASSERT_FALSE(failed.ok()) << mutation.tag << " " << (&mutation - mutations);
        EXPECT_EQ(failed.error().tag, mutation.tag)
            << (&mutation - mutations) << ": " << failed.error().message;
    }
    EXPECT_TRUE(parse_apr(as_bytes(sealed(golden()))).ok()); // the sealing itself is right
}

TEST(Apr, Checksums) {
    const std::string bytes = golden();
    for (size_t at = 0; at < bytes.size(); ++at) {
        std::string flipped = bytes;
        flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
        EXPECT_FALSE(parse_apr(as_bytes(flipped)).ok()) << at;
    }
    std::string old = bytes;
    old.replace(40, 4, std::string(4, '\0'));
    old.resize(384);
    EXPECT_EQ(parse_apr(as_bytes(old)).error().tag, "bad_header_crc");
    EXPECT_TRUE(parse_apr(as_bytes(old), {.allow_missing_header_crc = true}).ok());
    for (size_t size = 0; size < bytes.size(); ++size)
        EXPECT_EQ(parse_apr(as_bytes(bytes).first(size)).ok(), size == 344 || size == 384) << size;
}

// Every single byte changed, with the header's checksum made right again: an error or a file that can
// be walked (a sanitizer is the judge).
TEST(Apr, ByteMutations) {
    std::mt19937 random(5);
    for (size_t at = 0; at < 384; ++at)
        for (const int value : {0x00, 0x7F, 0x80, 0xFF, static_cast<int>(random() & 0xFF)}) {
            std::string bytes = golden();
            bytes[at] = static_cast<char>(value);
            bytes = sealed(bytes);
            const auto apr = parse_apr(as_bytes(bytes));
            if (!apr.ok()) continue;
            for (const AprTensor &tensor : apr->tensors) {
                std::vector<float> values(tensor.elements());
                EXPECT_TRUE(decode_apr(tensor, 0, values).ok());
            }
        }
}

// One tensor in a file; offsets as the golden file has them.
std::string with_tensor(uint8_t type, const std::vector<uint64_t> &dims, const std::string &data) {
    std::string index =
        raw(uint16_t(1)) + "t" + static_cast<char>(type) + static_cast<char>(dims.size());
    for (const uint64_t dim : dims)
        index += raw(dim);
    index += raw(uint64_t(0)) + raw(uint64_t(data.size()));
    std::string out("APR\0\2\0\0\4", 8);
    out += raw(1u) + raw(uint64_t(64)) + raw(2u) + raw(uint64_t(128)) + raw(uint64_t(256));
    out.resize(64, '\0');
    out.replace(40, 4, raw(naive_crc(out.substr(0, 40) + out.substr(44))));
    out += "{}";
    out.resize(128, '\0');
    out += index;
    out.resize(256, '\0');
    return out + data;
}

// What ids 3 and 6 to 9 mean follows from the size.
TEST(Apr, AmbiguousTypes) {
    std::mt19937 random(6);
    struct Case {
        uint8_t id;
        uint64_t elements, bytes;
        AprStorage storage;
        DType dtype;
    };
    const Case cases[] = {
        {8, 64, 68, AprStorage::plain, DType::Q8_0},    {8, 64, 36, AprStorage::q4, DType::F32},
        {9, 64, 68, AprStorage::q8, DType::F32},        {9, 64, 72, AprStorage::plain, DType::Q8_1},
        {9, 32, 36, AprStorage::q8, DType::F32},        {3, 64, 512, AprStorage::plain, DType::F64},
        {3, 64, 40, AprStorage::plain, DType::Q4_1},    {6, 64, 64, AprStorage::plain, DType::I8},
        {6, 64, 44, AprStorage::plain, DType::Q5_0},    {7, 64, 64, AprStorage::u8, DType::F32},
        {7, 64, 48, AprStorage::plain, DType::Q5_1},    {4, 3, 12, AprStorage::plain, DType::I32},
        {5, 3, 24, AprStorage::plain, DType::I64},      {128, 33, 36, AprStorage::q4, DType::F32},
        {129, 5, 9, AprStorage::q8, DType::F32},        {30, 3, 6, AprStorage::plain, DType::BF16},
        {12, 256, 144, AprStorage::plain, DType::Q4_K},
    };
    for (const Case &c : cases) {
        const std::string bytes = with_tensor(c.id, {c.elements}, random_bytes(random, c.bytes));
        const auto apr = parse_apr(as_bytes(bytes));
        ASSERT_TRUE(apr.ok()) << int(c.id) << " " << apr.error().message;
        EXPECT_EQ(apr->tensors[0].storage, c.storage) << int(c.id);
        EXPECT_EQ(apr->tensors[0].dtype, c.dtype) << int(c.id);
    }
    for (const uint8_t id : {3, 6, 7, 8, 9, 128, 129})
        EXPECT_FALSE(parse_apr(as_bytes(with_tensor(id, {64}, std::string(1000, 'x')))).ok());
}

TEST(Apr, OwnQuantisations) {
    // 33 elements: the second block holds one. 0x3800 is 0.5, 0xC000 is -2 in float16.
    std::string blocks = raw(uint16_t(0x3800));
    for (int i = 0; i < 16; ++i)
        blocks += static_cast<char>(i | (15 - i) << 4);
    blocks += raw(uint16_t(0xC000)) + std::string(16, '\x0F');
    std::string bytes = with_tensor(128, {33}, blocks);
    auto file = GgufFile::parse(as_bytes(bytes), "q4");
    ASSERT_TRUE(file.ok()) << file.error().message;
    const auto floats = [&](size_t i) {
        float value = 0;
        std::memcpy(&value, (*file)->tensors()[0].data.data() + i * 4, 4);
        return value;
    };
    EXPECT_EQ((*file)->tensors()[0].dtype, DType::F32);
    for (size_t i = 0; i < 16; ++i) {
        EXPECT_EQ(floats(2 * i), (static_cast<float>(i) - 8) / 2);
        EXPECT_EQ(floats(2 * i + 1), (7 - static_cast<float>(i)) / 2);
    }
    EXPECT_EQ(floats(32), -14);
    bytes = with_tensor(129, {3}, raw(0.25f) + "\x04\xFF\x80");
    file = GgufFile::parse(as_bytes(bytes), "q8");
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(floats(0), 1);
    EXPECT_EQ(floats(1), -0.25f);
    EXPECT_EQ(floats(2), -32);
}

TEST(Lz4, Blocks) {
    // "abcabcabcabcX": three literals, a match of 9 at distance 3, one literal.
    const std::string block = std::string("\x35"
                                          "abc\x03\x00",
                                          6) +
                              "\x10X";
    const auto text = decode_lz4(as_bytes(block), 13);
    ASSERT_TRUE(text.ok()) << text.error().message;
    EXPECT_EQ(*text, "abcabcabcabcX");
    const std::string run = std::string("\x1F"
                                        "a\x01\x00\xFF\x05",
                                        6) +
                            std::string("\0", 1);
    EXPECT_EQ(*decode_lz4(as_bytes(run), 1 + 4 + 15 + 255 + 5), std::string(280, 'a'));
    for (size_t size = 0; size < block.size(); ++size)
        EXPECT_FALSE(decode_lz4(as_bytes(block).first(size), 13).ok()) << size;
    EXPECT_FALSE(decode_lz4(as_bytes(block), 12).ok());
    EXPECT_FALSE(decode_lz4(as_bytes(block), 14).ok());
    EXPECT_FALSE(decode_lz4(as_bytes(block), uint64_t(1) << 40).ok());
    const std::string far = std::string("\x10"
                                        "a\x02\x00\x10X",
                                        6);
    EXPECT_FALSE(decode_lz4(as_bytes(far), 6).ok()); // before the beginning
    std::mt19937 random(8);
    for (int round = 0; round < 2000; ++round) {
        const std::string noise = random_bytes(random, random() % 40);
        (void)decode_lz4(as_bytes(noise), random() % 300);
    }
}

TEST(Apr, ReadsLz4) {
    std::string plain = golden();
    plain.resize(384);
    std::string packed = plain.substr(0, 64);
    packed[6] = 1;
    packed.replace(40, 4, raw(naive_crc(packed.substr(0, 40) + packed.substr(44))));
    const std::string rest = plain.substr(64); // as literals only
    packed += raw(uint32_t(rest.size())) + "\xF0\xFF" + static_cast<char>(rest.size() - 15 - 255);
    packed += rest;
    const auto file = GgufFile::parse(as_bytes(packed), "packed");
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ(std::memcmp((*file)->find_tensor("weight")->data.data(), plain.data() + 320, 24), 0);
}

// GGUF to APR and back: the same metadata and the same bytes.
TEST(Apr, KeepsGguf) {
    const ScratchFolder folder;
    const Sketch sketch = [] {
        Sketch s = valid_sketch(31);
        s.entries.push_back({"test.inf", value(6, INFINITY)});
        s.entries.push_back(
            {"test.u64s", array_value(10, 2, raw(~uint64_t(0)) + raw(uint64_t(1)))});
        s.entries.push_back({"tokenizer.ggml.tokens", array_value(8, 2,
                                                                  raw_string("\xC4\xA0"
                                                                             "a") +
                                                                      raw_string("<b>"))});
        s.entries.push_back({"tokenizer.ggml.scores", array_value(6, 2, raw(-1.5f) + raw(0.1f))});
        s.entries.push_back({"tokenizer.chat_template", string_value("{{ \"x\" }}\n")});
        return s;
    }();
    folder.write("in.gguf", sketch.bytes());
    const auto in = GgufFile::open(folder / "in.gguf");
    ASSERT_TRUE(in.ok()) << in.error().message;
    ASSERT_TRUE(write_gguf(**in, folder / "plain.gguf").ok());
    ASSERT_TRUE(write_apr(**in, folder / "out.apr").ok());
    const auto apr = GgufFile::open(folder / "out.apr");
    ASSERT_TRUE(apr.ok()) << apr.error().message;
    EXPECT_STREQ((*apr)->format(), "APR");
    ASSERT_EQ((*apr)->tensors().size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
        const GgufTensor &a = (*in)->tensors()[i], &b = (*apr)->tensors()[i];
        EXPECT_EQ(a.name, b.name);
        EXPECT_EQ(a.dtype, b.dtype);
        EXPECT_EQ(a.dims, b.dims);
        EXPECT_EQ(std::memcmp(a.data.data(), b.data.data(), a.data.size()), 0);
    }
    ASSERT_TRUE(write_gguf(**apr, folder / "back.gguf").ok());
    EXPECT_TRUE(read_file(folder / "back.gguf") == read_file(folder / "plain.gguf"));
}

TEST(Apr, RefusesWhatJsonCannotHold) {
    const ScratchFolder folder;
    Sketch sketch = valid_sketch(32);
    sketch.entries.push_back({"test.bytes", string_value("\xFF")});
    const std::string bytes = sketch.bytes();
    const auto file = GgufFile::parse(as_bytes(bytes), "in");
    ASSERT_TRUE(file.ok());
    const auto failed = write_apr(**file, folder / "out.apr");
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().tag, "not_utf8");
    EXPECT_FALSE(std::filesystem::exists(folder / "out.apr"));
}

// A file of another writer, with the names of Hugging Face.
TEST(Apr, TranslatesNames) {
    const ScratchFolder folder;
    const nlohmann::json metadata = {
        {"model_type", "transformer_lm"},
        {"architecture", "LlamaForCausalLM"},
        {"hidden_dim", 8},
        {"n_layers", 1},
        {"num_attention_heads", 2},
        {"n_kv_heads", nullptr},
        {"rope_theta", 5e5},
        {"rope_type", 2},
        {"rms_norm_eps", 1e-5},
        {"tokenizer.vocabulary", {"<unk>", "<s>", "<0x0A>", "a", "<|end|>"}},
        {"tokenizer", {{"scores", {0, 0, 0, -1.5, 0}}, {"bos_token_id", 1}}},
    };
    AprWriter writer(metadata);
    for (const char *name : {"model.embed_tokens.weight", "model.layers.12.self_attn.q_proj.bias",
                             "model.layers.0.mlp.down_proj.weight", "odd"})
        writer.add_tensor(name, DType::F32, {1});
    ASSERT_TRUE(writer.begin(folder / "in.apr").ok());
    for (int i = 0; i < 4; ++i)
        ASSERT_TRUE(writer.write_tensor(std::as_bytes(std::span("123"))).ok());
    ASSERT_TRUE(writer.finish().ok());
    const auto opened = GgufFile::open(folder / "in.apr");
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    const GgufFile &file = **opened;
    // The network of llama with RoPE's pairs half a head apart.
    EXPECT_EQ(*file.require_string("general.architecture"), "qwen2");
    EXPECT_EQ(*file.require_u32("qwen2.embedding_length"), 8u);
    EXPECT_EQ(*file.require_u32("qwen2.attention.head_count"), 2u);
    EXPECT_EQ(file.find("qwen2.attention.head_count_kv"), nullptr);
    EXPECT_EQ(*file.require_f32("qwen2.rope.freq_base"), 5e5f);
    EXPECT_EQ(*file.require_string("tokenizer.ggml.model"), "llama");
    EXPECT_EQ(*file.require_u32("tokenizer.ggml.bos_token_id"), 1u);
    const GgufArray *types = *file.get_array("tokenizer.ggml.token_type");
    const int64_t expected[] = {2, 3, 6, 1, 3};
    for (uint64_t i = 0; i < 5; ++i)
        EXPECT_EQ(types->integer(i), expected[i]) << i;
    for (const char *name :
         {"token_embd.weight", "blk.12.attn_q.bias", "blk.0.ffn_down.weight", "odd"})
        EXPECT_NE(file.find_tensor(name), nullptr) << name;
}

// A logistic regression as version 1 stores it.
std::string v1_file(uint8_t compression = 0) {
    std::string metadata("\x82\xAA"
                         "created_at\xAA"
                         "1764278947\xB0"
                         "aprender_version\xA6"
                         "0.11.0");
    std::string payload = std::string("\1", 1) + raw(uint64_t(5));
    for (int i = 0; i < 5; ++i)
        payload += raw(static_cast<float>(i) / 8);
    payload += raw(0.5f) + raw(0.01f) + raw(uint64_t(100)) + raw(1e-4f);
    const auto size = static_cast<uint32_t>(payload.size());
    if (compression == 3)
        payload = raw(size) + std::string("\xF0") + static_cast<char>(size - 15) + payload;
    std::string out = "APRN" + std::string("\1\0", 2) + raw(uint16_t(2)) +
                      raw(uint32_t(metadata.size())) + raw(uint32_t(payload.size())) + raw(size);
    out += static_cast<char>(compression);
    out.resize(32, '\0');
    out += metadata + payload;
    return out + raw(naive_crc(out));
}

TEST(AprV1, LogisticRegression) {
    for (const uint8_t compression : {0, 3}) {
        const std::string bytes = v1_file(compression);
        const auto model = parse_apr_v1(as_bytes(bytes));
        ASSERT_TRUE(model.ok()) << model.error().message;
        EXPECT_EQ(model->type_name, "logistic_regression");
        EXPECT_EQ(model->metadata["created_at"], "1764278947");
        const auto linear = linear_of(*model);
        ASSERT_TRUE(linear.ok()) << linear.error().message;
        EXPECT_EQ(linear->coefficients, (std::vector<float>{0, 0.125, 0.25, 0.375, 0.5}));
        EXPECT_EQ(linear->intercept, 0.5f);
        const auto file = GgufFile::parse(as_bytes(bytes), "v1");
        ASSERT_TRUE(file.ok()) << file.error().message;
        EXPECT_EQ((*file)->version(), 1u);
        EXPECT_EQ((*file)->find_tensor("weight")->dims, (std::vector<int64_t>{1, 5}));
    }
    EXPECT_EQ(parse_apr_v1(as_bytes(v1_file(1))).error().tag, "unsupported_compression");
}

TEST(AprV1, ByteMutations) {
    const std::string bytes = v1_file();
    for (size_t at = 0; at < bytes.size(); ++at) {
        std::string changed = bytes;
        changed[at] = static_cast<char>(changed[at] ^ 0x40);
        EXPECT_FALSE(parse_apr_v1(as_bytes(changed)).ok()) << at;
        changed.resize(changed.size() - 4);
        changed += raw(naive_crc(changed));
        if (const auto model = parse_apr_v1(as_bytes(changed)); model.ok()) (void)linear_of(*model);
        EXPECT_FALSE(parse_apr_v1(as_bytes(bytes).first(at)).ok()) << at;
    }
}

} // namespace
} // namespace realizar
