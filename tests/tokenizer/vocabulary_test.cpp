// Vocabularies from GGUF: what is read, and what is refused with which tag.
#include "core/format/gguf.h"
#include "tests/tokenizer/vocabularies.h"

#include <cmath>
#include <cstring>
#include <functional>
#include <map>

using namespace realizar;

namespace {

// The metadata of a GGUF file, value by value in the file's own encoding.
class Metadata {
  public:
    template <class T>
    static std::string bytes(T value) {
        std::string out(sizeof value, '\0');
        std::memcpy(out.data(), &value, sizeof value);
        return out;
    }
    static std::string text(const std::string &value) {
        return bytes<uint64_t>(value.size()) + value;
    }

    void set(const std::string &key, GgufType type, const std::string &value) {
        values_[key] = bytes(static_cast<uint32_t>(type)) + value;
    }
    void set_string(const std::string &key, const std::string &value) {
        set(key, GgufType::string, text(value));
    }
    void set_u32(const std::string &key, uint32_t value) { set(key, GgufType::u32, bytes(value)); }
    void set_array(const std::string &key, GgufType element, const std::vector<std::string> &all) {
        std::string out =
            bytes(static_cast<uint32_t>(element)) + bytes(static_cast<uint64_t>(all.size()));
        for (const std::string &each : all)
            out += each;
        set(key, GgufType::array, out);
    }
    void erase(const std::string &key) { values_.erase(key); }

    std::string file() const {
        std::string out = "GGUF" + bytes<uint32_t>(3) + bytes<uint64_t>(0) +
                          bytes(static_cast<uint64_t>(values_.size()));
        for (const auto &[key, value] : values_)
            out += text(key) + value;
        return out;
    }

  private:
    std::map<std::string, std::string> values_;
};

std::string number(int32_t value) { return Metadata::bytes(value); }
std::string number(float value) { return Metadata::bytes(value); }

// <unk>, <s>, </s>, <0x0A>, and two pieces.
Metadata good_spm() {
    Metadata data;
    data.set_string("general.architecture", "llama");
    data.set_string("tokenizer.ggml.model", "llama");
    std::vector<std::string> tokens, scores, types;
    for (const char *token : {"<unk>", "<s>", "</s>", "<0x0A>", "\xE2\x96\x81", "a"})
        tokens.push_back(Metadata::text(token));
    for (const float score : {0.0f, 0.0f, 0.0f, 0.0f, -1.0f, -2.0f})
        scores.push_back(number(score));
    for (const int32_t type : {2, 3, 3, 6, 1, 1})
        types.push_back(number(type));
    data.set_array("tokenizer.ggml.tokens", GgufType::string, tokens);
    data.set_array("tokenizer.ggml.scores", GgufType::f32, scores);
    data.set_array("tokenizer.ggml.token_type", GgufType::i32, types);
    data.set_u32("tokenizer.ggml.bos_token_id", 1);
    data.set_u32("tokenizer.ggml.eos_token_id", 2);
    return data;
}

Result<Vocabulary> read(const Metadata &data) {
    const std::string bytes = data.file();
    const auto file = GgufFile::parse(std::as_bytes(std::span(bytes)), "test");
    if (!file.ok()) return file.error();
    return vocabulary_from_gguf(**file);
}

TEST(Vocabulary, Good) {
    Metadata data = good_spm();
    data.set_string("tokenizer.chat_template", "{{ messages }}");
    data.set_u32("tokenizer.ggml.eot_token_id", 5);
    const auto made = read(data);
    ASSERT_TRUE(made.ok()) << made.error().message;
    EXPECT_EQ(made->model, "llama");
    EXPECT_EQ(made->tokens.size(), 6u);
    EXPECT_EQ(made->scores[5], -2.0f);
    EXPECT_EQ(made->types[3], TokenType::byte);
    EXPECT_EQ(made->bos, 1);
    EXPECT_EQ(made->eos, 2);
    EXPECT_EQ(made->eot, 5);
    EXPECT_EQ(made->unk, 0); // by its place and text
    EXPECT_FALSE(made->pad);
    EXPECT_TRUE(made->add_bos); // the kind's habit
    EXPECT_FALSE(made->add_eos);
    EXPECT_TRUE(made->add_space_prefix);
    EXPECT_EQ(made->chat_template, "{{ messages }}");
}

TEST(Vocabulary, Flags) {
    Metadata data = good_spm();
    data.set("tokenizer.ggml.add_bos_token", GgufType::boolean, std::string(1, '\0'));
    data.set("tokenizer.ggml.add_eos_token", GgufType::boolean, "\1");
    data.set("tokenizer.ggml.add_space_prefix", GgufType::boolean, std::string(1, '\0'));
    const auto made = read(data);
    ASSERT_TRUE(made.ok()) << made.error().message;
    EXPECT_FALSE(made->add_bos);
    EXPECT_TRUE(made->add_eos);
    EXPECT_FALSE(made->add_space_prefix);
}

TEST(Vocabulary, BpeHabits) {
    for (const auto &[pre, add_bos] : {std::pair{"gpt-2", false}, {"llama-bpe", true}}) {
        Metadata data = good_spm();
        data.set_string("tokenizer.ggml.model", "gpt2");
        data.set_string("tokenizer.ggml.pre", pre);
        data.erase("tokenizer.ggml.scores");
        data.set_array("tokenizer.ggml.merges", GgufType::string, {Metadata::text("a b")});
        const auto made = read(data);
        ASSERT_TRUE(made.ok()) << made.error().message;
        EXPECT_EQ(made->add_bos, add_bos);
        EXPECT_EQ(made->merges, std::vector<std::string>{"a b"});
        EXPECT_FALSE(made->unk);
    }
}

struct BadCase {
    const char *name, *tag;
    std::function<void(Metadata &)> change;
};

std::vector<BadCase> bad_cases() {
    const auto strings = [](std::vector<std::string> all) {
        for (std::string &each : all)
            each = Metadata::text(each);
        return all;
    };
    std::vector<BadCase> cases{
        {"no model", "missing_key", [](auto &d) { d.erase("tokenizer.ggml.model"); }},
        {"model is a number", "wrong_type", [](auto &d) { d.set_u32("tokenizer.ggml.model", 1); }},
        {"no tokens", "bad_vocab", [](auto &d) { d.erase("tokenizer.ggml.tokens"); }},
        {"tokens are a string", "wrong_type",
         [](auto &d) { d.set_string("tokenizer.ggml.tokens", "a"); }},
        {"tokens are bytes", "wrong_type",
         [](auto &d) { d.set_array("tokenizer.ggml.tokens", GgufType::u8, {"a"}); }},
        {"no scores", "array_mismatch", [](auto &d) { d.erase("tokenizer.ggml.scores"); }},
        {"scores short", "array_mismatch",
         [](auto &d) { d.set_array("tokenizer.ggml.scores", GgufType::f32, {number(1.0f)}); }},
        {"scores of bytes", "wrong_type",
         [](auto &d) {
             d.set_array("tokenizer.ggml.scores", GgufType::u8, {"a", "b", "c", "d", "e", "f"});
         }},
        {"score nan", "bad_vocab",
         [](auto &d) {
             d.set_array("tokenizer.ggml.scores", GgufType::f32,
                         std::vector<std::string>(6, number(std::nanf(""))));
         }},
        {"types long", "array_mismatch",
         [](auto &d) {
             d.set_array("tokenizer.ggml.token_type", GgufType::i32,
                         std::vector<std::string>(7, number(1)));
         }},
        {"types of bytes", "wrong_type",
         [](auto &d) {
             d.set_array("tokenizer.ggml.token_type", GgufType::u8,
                         std::vector<std::string>(6, "\1"));
         }},
        {"type 7", "bad_vocab",
         [](auto &d) {
             d.set_array("tokenizer.ggml.token_type", GgufType::i32,
                         std::vector<std::string>(6, number(7)));
         }},
        {"type -1", "bad_vocab",
         [](auto &d) {
             d.set_array("tokenizer.ggml.token_type", GgufType::i32,
                         std::vector<std::string>(6, number(-1)));
         }},
        {"merges of numbers", "wrong_type",
         [](auto &d) { d.set_array("tokenizer.ggml.merges", GgufType::i32, {number(1)}); }},
        {"charsmap of 3 bytes", "bad_vocab",
         [](auto &d) {
             d.set_array("tokenizer.ggml.precompiled_charsmap", GgufType::u8, {"a", "b", "c"});
         }},
        {"add_bos is a number", "wrong_type",
         [](auto &d) { d.set_u32("tokenizer.ggml.add_bos_token", 1); }},
        {"template is a number", "wrong_type",
         [](auto &d) { d.set_u32("tokenizer.chat_template", 1); }},
        {"token of 65537 bytes", "bad_vocab",
         [strings](auto &d) {
             d.set_array("tokenizer.ggml.tokens", GgufType::string,
                         strings({"<unk>", "<s>", "</s>", "<0x0A>", std::string(65537, 'x'), "a"}));
         }},
        {"2 MiB of special tokens", "bad_vocab",
         [strings](auto &d) {
             const std::vector<std::string> tokens(32, std::string(65536, 'x'));
             d.set_array("tokenizer.ggml.tokens", GgufType::string, strings(tokens));
             d.set_array("tokenizer.ggml.token_type", GgufType::i32,
                         std::vector<std::string>(32, number(4)));
             d.set_array("tokenizer.ggml.scores", GgufType::f32,
                         std::vector<std::string>(32, number(1.0f)));
         }},
    };
    static const char *const bad_bytes[] = {"<0x-1>", "<0xZZ>",  "<0x0>", "<0x0A",
                                            "0x0A",   "<0x0A>>", "",      "<0x 1>"};
    for (const char *token : bad_bytes)
        cases.push_back({token, "bad_vocab", [strings, token](auto &d) {
                             d.set_array("tokenizer.ggml.tokens", GgufType::string,
                                         strings({"<unk>", "<s>", "</s>", token, " ", "a"}));
                         }});
    static const char *const ids[] = {"bos", "eos", "eot", "eom", "unknown", "padding"};
    for (const char *id : ids) {
        const std::string key = std::string("tokenizer.ggml.") + id + "_token_id";
        cases.push_back({id, "bad_token_id", [key](auto &d) { d.set_u32(key, 6); }});
        cases.push_back({id, "bad_token_id", [key](auto &d) { d.set_u32(key, UINT32_MAX); }});
        cases.push_back(
            {id, "bad_token_id", [key](auto &d) { d.set(key, GgufType::i32, number(-1)); }});
        cases.push_back({id, "bad_token_id", [key](auto &d) {
                             d.set(key, GgufType::u64, Metadata::bytes(UINT64_MAX));
                         }});
        cases.push_back({id, "bad_token_id", [key](auto &d) {
                             d.set(key, GgufType::i64, Metadata::bytes(INT64_MIN));
                         }});
        cases.push_back({id, "wrong_type", [key](auto &d) { d.set_string(key, "1"); }});
        cases.push_back(
            {id, "wrong_type", [key](auto &d) { d.set(key, GgufType::f32, number(1.0f)); }});
    }
    return cases;
}

TEST(Vocabulary, Bad) {
    for (const BadCase &each : bad_cases()) {
        SCOPED_TRACE(each.name);
        Metadata data = good_spm();
        each.change(data);
        const auto made = read(data);
        ASSERT_FALSE(made.ok());
        EXPECT_EQ(made.error().tag, each.tag) << made.error().message;
        EXPECT_EQ(made.error().code, Code::malformed) << made.error().message;
        EXPECT_NE(made.error().message.find("expected"), std::string::npos) << made.error().message;
    }
}

TEST(Vocabulary, UnknownKind) {
    Metadata data = good_spm();
    data.set_string("tokenizer.ggml.model", "rwkv");
    const auto vocabulary = read(data);
    ASSERT_TRUE(vocabulary.ok()) << vocabulary.error().message;
    const auto made = Tokenizer::create(*vocabulary);
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().tag, "unsupported_tokenizer");
    EXPECT_NE(made.error().message.find("llama, gpt2"), std::string::npos);
    EXPECT_NE(made.error().message.find("'rwkv'"), std::string::npos);
}

// create() checks for itself: a vocabulary need not come from a file.
TEST(Vocabulary, CreateChecks) {
    EXPECT_FALSE(Tokenizer::create({}).ok());
    Vocabulary vocabulary = test::spm_vocabulary({"a"});
    vocabulary.eom = 9999;
    const auto made = Tokenizer::create(vocabulary);
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().tag, "bad_token_id");
}

} // namespace
