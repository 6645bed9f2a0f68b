#include "core/format/json_bounded.h"
#include "core/format/safetensors.h"
#include "gguf_sketch.h"
#include "scratch.h"

#include <gtest/gtest.h>

namespace realizar {
namespace {

using namespace test;

std::string file_bytes(const std::string &header, const std::string &data) {
    return raw(uint64_t(header.size())) + header + data;
}

std::string item(const std::string &name, const std::string &dtype, const std::string &shape,
                 uint64_t begin, uint64_t end) {
    return std::string("\"") + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
           ",\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(end) + "]}";
}

const std::string kGood =
    "{\"__metadata__\":{\"format\":\"pt\"}," + item("b", "F16", "[2,3]", 0, 12) + std::string(",") +
    item("a", "F32", "[5]", 12, 32) + std::string(",") + item("s", "BF16", "[]", 32, 34) + "}   ";

TEST(Safetensors, ReadsTensors) {
    std::mt19937 random(1);
    const std::string data = random_bytes(random, 34), bytes = file_bytes(kGood, data);
    const auto file = SafetensorsFile::parse(as_bytes(bytes), "label");
    ASSERT_TRUE(file.ok()) << file.error().message;
    ASSERT_EQ((*file)->tensors().size(), 3u);
    const SafeTensor *a = (*file)->find("a");
    ASSERT_NE(a, nullptr);
    EXPECT_EQ(a->dtype, DType::F32);
    EXPECT_EQ(a->dims, std::vector<int64_t>{5});
    EXPECT_EQ(std::memcmp(a->data.data(), data.data() + 12, 20), 0);
    EXPECT_EQ((*file)->find("b")->dims, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ((*file)->find("s")->dims, (std::vector<int64_t>{1}));
    EXPECT_EQ((*file)->find("c"), nullptr);
}

struct Case {
    const char *name, *tag;
    std::string bytes;
};

std::vector<Case> malformed() {
    const std::string data(34, 'x');
    const auto with = [&](const std::string &items) {
        return file_bytes(std::string("{") + items + "}", data);
    };
    const auto one = [&](const char *dtype, const char *shape, uint64_t begin, uint64_t end) {
        return with(item("t", dtype, shape, begin, end));
    };
    const std::string rest = std::string(",") + item("z", "BF16", "[1]", 32, 34);
    return {
        {"empty", "truncated_header", ""},
        {"seven_bytes", "truncated_header", "1234567"},
        {"header_past_file", "truncated_header", raw(uint64_t(40)) + "{}"},
        {"header_size_max", "truncated_header", raw(~uint64_t(0)) + "{}"},
        {"header_too_large", "header_too_large",
         file_bytes(std::string((uint64_t(32) << 20) + 1, ' '), "")},
        {"not_json", "bad_json", file_bytes("{", data)},
        {"trailing", "bad_json", file_bytes("{}x", data)},
        {"bad_utf8", "bad_json", file_bytes("{\"\xFF\":1}", data)},
        {"array", "bad_header", file_bytes("[]", data)},
        {"deep", "json_too_deep", file_bytes(std::string(200000, '['), data)},
        {"deep_objects", "json_too_deep",
         [] {
             std::string text;
             for (int i = 0; i < 100000; ++i)
                 text += "{\"a\":";
             return file_bytes(text, "");
         }()},
        {"many_values", "json_too_large",
         [] {
             std::string text = "[0";
             for (int i = 0; i < 400001; ++i)
                 text += ",0";
             return file_bytes(text + "]", "");
         }()},
        {"twice", "duplicate_key",
         with(item("t", "F32", "[4]", 0, 16) + std::string(",") + item("t", "F32", "[4]", 0, 16))},
        {"no_shape", "bad_header", with("\"t\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}")},
        {"item_number", "bad_header", with("\"t\":1")},
        {"shape_text", "bad_header", one("F32", "\"x\"", 0, 34)},
        {"offsets_three", "bad_header",
         with("\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}")},
        {"offsets_negative", "bad_header",
         with("\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}")},
        {"dtype_unknown", "bad_dtype", one("F8_E4M3", "[34]", 0, 34)},
        {"dtype_number", "bad_dtype",
         with("\"t\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,4]}")},
        {"rank_5", "too_many_dims", one("F16", "[1,1,1,1,17]", 0, 34)},
        {"dim_zero", "zero_dim", one("F16", "[0]", 0, 0)},
        {"dim_negative", "bad_dim", one("F16", "[-1]", 0, 34)},
        {"dim_fraction", "bad_dim", one("F16", "[1.5]", 0, 34)},
        {"dim_2_63", "bad_dim", one("F16", "[9223372036854775808]", 0, 34)},
        {"dim_2_64", "bad_dim", one("F16", "[18446744073709551616]", 0, 34)},
        {"elements_wrap", "elements_overflow", one("F16", "[4294967296,4294967296]", 0, 34)},
        {"bytes_wrap", "elements_overflow", one("F32", "[4611686018427387904]", 0, 34)},
        {"end_past_data", "bad_offset", one("F16", "[18]", 0, 36)},
        {"end_before_begin", "bad_offset", one("F16", "[1]", 4, 2)},
        {"wrong_size", "size_mismatch", one("F16", "[16]", 0, 34)},
        {"gap", "bad_offset", with(item("t", "F16", "[15]", 0, 30) + rest)},
        {"overlap", "bad_offset", with(item("t", "F16", "[17]", 0, 34) + rest)},
        {"hidden_bytes", "bad_offset", one("F16", "[16]", 0, 32)},
        {"begin_not_zero", "bad_offset", one("F16", "[16]", 2, 34)},
    };
}

TEST(Safetensors, MalformedFilesGiveTheNamedError) {
    for (const Case &c : malformed()) {
        const auto file = SafetensorsFile::parse(as_bytes(c.bytes), "label");
        ASSERT_FALSE(file.ok()) << c.name;
        EXPECT_EQ(file.error().tag, c.tag) << c.name << ": " << file.error().message;
    }
}

TEST(Safetensors, EveryByteOfASmallFile) {
    const std::string valid = file_bytes(kGood, std::string(34, 'x'));
    int loaded = 0, refused = 0;
    for (size_t i = 0; i < valid.size(); ++i)
        for (int value = 0; value < 256; ++value) {
            std::string bytes = valid;
            bytes[i] = static_cast<char>(value);
            const auto file = SafetensorsFile::parse(as_bytes(bytes), "sweep");
            ++(file.ok() ? loaded : refused);
        }
    EXPECT_GT(loaded, 34 * 256);
    EXPECT_GT(refused, 10000);
}

class Folder : public testing::Test {
  protected:
    void SetUp() override {
        folder_.write("one.safetensors",
                      file_bytes(std::string("{") + item("a", "F16", "[2]", 0, 4) + "}", "aaaa"));
        folder_.write("two.safetensors",
                      file_bytes(std::string("{") + item("b", "F16", "[1]", 0, 2) + "," +
                                     item("c", "F16", "[1]", 2, 4) + "}",
                                 "bbcc"));
    }
    std::string tag(const std::string &index) {
        folder_.write("model.safetensors.index.json", index);
        const auto opened = SafetensorsFolder::open(folder_.path());
        return opened.ok() ? "" : opened.error().tag;
    }
    ScratchFolder folder_;
};

TEST_F(Folder, ShardsAreJoined) {
    ASSERT_EQ(
        tag(R"({"metadata":{},"weight_map":{"c":"two.safetensors","a":"one.safetensors","b":"two.safetensors"}})"),
        "");
    const auto opened = SafetensorsFolder::open(folder_.path());
    ASSERT_EQ(opened->items().size(), 3u);
    EXPECT_EQ(opened->find("c")->tensor->data[0], std::byte{'c'});
    EXPECT_EQ(opened->find("a")->file->label(), (folder_ / "one.safetensors").string());
    EXPECT_EQ(opened->find("d"), nullptr);
    EXPECT_TRUE(opened->verify_unchanged().ok());
}

TEST_F(Folder, BadIndexesAreRefused) {
    const ScratchFolder outside;
    outside.write("x.safetensors",
                  file_bytes(std::string("{") + item("a", "F16", "[2]", 0, 4) + "}", "aaaa"));
    const std::string name = outside.path().filename().string();
    for (const std::string &shard :
         {"../" + name + "/x.safetensors", outside.path().string() + "/x.safetensors",
          std::string(".."), std::string("."), std::string(""), std::string("a\\u0000b")})
        EXPECT_EQ(tag("{\"weight_map\":{\"a\":\"" + shard + "\"}}"), "bad_shard_name") << shard;
    EXPECT_EQ(tag("[]"), "bad_index");
    EXPECT_EQ(tag("{\"weight_map\":[]}"), "bad_index");
    EXPECT_EQ(tag("{\"weight_map\":{\"a\":1}}"), "bad_index");
    EXPECT_EQ(tag("{\"weight_map\":{\"a\":\"three.safetensors\"}}"), "open_failed");
    EXPECT_EQ(tag("{\"weight_map\":{\"a\":\"two.safetensors\"}}"), "shard_mismatch");
    EXPECT_EQ(tag("{\"weight_map\":{\"b\":\"two.safetensors\"}}"), "shard_mismatch");
}

TEST_F(Folder, WithoutIndexThereIsOneFile) {
    EXPECT_EQ(SafetensorsFolder::open(folder_.path()).error().tag, "open_failed");
    std::filesystem::rename(folder_ / "one.safetensors", folder_ / "model.safetensors");
    const auto opened = SafetensorsFolder::open(folder_.path());
    ASSERT_TRUE(opened.ok());
    EXPECT_EQ(opened->items().size(), 1u);
}

TEST(Json, LimitsAreExact) {
    const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    const JsonLimits limits{4, 10};
    EXPECT_TRUE(parse_json(nested(4), limits).ok());
    EXPECT_EQ(parse_json(nested(5), limits).error().tag, "json_too_deep");
    EXPECT_TRUE(parse_json("[1,2,3,4,5,6,7,8,9]", limits).ok());
    EXPECT_EQ(parse_json("[1,2,3,4,5,6,7,8,9,10]", limits).error().tag, "json_too_large");
    EXPECT_EQ(parse_json("{\"a\":1,\"a\":2}").error().tag, "duplicate_key");
    EXPECT_TRUE(parse_json("[{\"a\":1},{\"a\":2},{\"b\":{\"a\":1},\"a\":2}]").ok());
    EXPECT_EQ((*parse_json("{\"a\":[1,true]}"))["a"][1], true);
    EXPECT_EQ(parse_json("").error().tag, "bad_json");
    EXPECT_EQ(parse_json("1e999").error().tag, "bad_json");
}

} // namespace
} // namespace realizar
