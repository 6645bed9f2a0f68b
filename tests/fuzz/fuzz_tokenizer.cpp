// Arbitrary text through small built-in tokenizers, and arbitrary vocabularies through the checks.
// Aborts when a text does not come back or a decoder shows half a character.
#include "core/tokenizer/tokenizer.h"
#include "core/tokenizer/utf8.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace realizar;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

bool is_utf8(const std::string &text) { return valid_utf8_prefix(text) == text.size(); }

Token add(Vocabulary &vocabulary, std::string text, TokenType type) {
    vocabulary.tokens.push_back(std::move(text));
    vocabulary.types.push_back(type);
    vocabulary.scores.push_back(-static_cast<float>(vocabulary.tokens.size() % 37));
    return static_cast<Token>(vocabulary.tokens.size()) - 1;
}

std::shared_ptr<const Tokenizer> spm() {
    Vocabulary vocabulary;
    vocabulary.model = "llama";
    vocabulary.add_bos = true;
    vocabulary.unk = add(vocabulary, "<unk>", TokenType::unknown);
    vocabulary.bos = add(vocabulary, "<s>", TokenType::control);
    vocabulary.eos = add(vocabulary, "</s>", TokenType::control);
    for (int byte = 0; byte < 256; ++byte) {
        char text[8];
        std::snprintf(text, sizeof text, "<0x%02X>", byte);
        add(vocabulary, text, TokenType::byte);
    }
    for (const char *piece : {"\xE2\x96\x81", "a", "b", "ab", "ba", "aba",
                              "\xE2\x96\x81"
                              "a",
                              "\xE2\x96\x81\xE2\x96\x81",
                              "a\xE2\x96\x81"
                              "b",
                              "\xC3\xA9", "aa"})
        add(vocabulary, piece, TokenType::normal);
    add(vocabulary, "<u>", TokenType::user_defined);
    add(vocabulary, "<u><u>", TokenType::user_defined);
    auto made = Tokenizer::create(std::move(vocabulary));
    require(made.ok());
    return *made;
}

std::shared_ptr<const Tokenizer> bpe(const char *pre) {
    Vocabulary vocabulary;
    vocabulary.model = "gpt2";
    vocabulary.pre = pre;
    unsigned other = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte) {
        const bool itself = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
        const unsigned code = itself ? byte : other++;
        std::string text;
        if (code < 0x80) {
            text = static_cast<char>(code);
        } else {
            text += static_cast<char>(0xC0 | code >> 6);
            text += static_cast<char>(0x80 | (code & 0x3F));
        }
        add(vocabulary, text, TokenType::normal);
    }
    for (const char *merge : {"a b", "b a", "ab a", "a a", "aa aa"}) {
        vocabulary.merges.push_back(merge);
        std::string whole = merge;
        std::erase(whole, ' ');
        add(vocabulary, whole, TokenType::normal);
    }
    add(vocabulary, "<|c|>", TokenType::control);
    add(vocabulary, "<u>", TokenType::user_defined);
    auto made = Tokenizer::create(std::move(vocabulary));
    require(made.ok());
    return *made;
}

void check_text(const std::shared_ptr<const Tokenizer> &tokenizer, std::string_view text) {
    for (const bool parse_special : {false, true}) {
        const auto tokens =
            tokenizer->encode(text, {.add_special = false, .parse_special = parse_special});
        require(tokens.ok());
        std::string expected(text);
        if (tokenizer->vocabulary().model == "llama") // U+2581 and a space are one there
            for (size_t at; (at = expected.find("\xE2\x96\x81")) != expected.npos;)
                expected.replace(at, 3, " ");
        // An unknown token's text is not text: nothing encodes to it but itself.
        if (!parse_special || expected.find("<unk>") == expected.npos)
            require(tokenizer->decode(*tokens, true) == expected);
        StreamDecoder stream(tokenizer);
        for (const Token token : *tokens)
            require(is_utf8(stream.push(token)));
        require(is_utf8(stream.finish()));
    }
}

// Bytes into a vocabulary: a count, then for each token its type, score and text; then merges.
void check_vocabulary_bytes(std::string_view bytes) {
    const auto take = [&](size_t count) {
        const std::string_view part = bytes.substr(0, count);
        bytes.remove_prefix(part.size());
        return part;
    };
    const auto byte = [&] {
        const std::string_view one = take(1);
        return one.empty() ? uint8_t{0} : static_cast<uint8_t>(one[0]);
    };
    Vocabulary vocabulary;
    const uint8_t flags = byte();
    vocabulary.model = flags & 1 ? "llama" : "gpt2";
    vocabulary.pre = flags & 2 ? "llama-bpe" : "";
    vocabulary.add_space_prefix = flags & 4;
    const bool typed = flags & 8, scored = flags & 16;
    for (size_t count = byte(); count > 0; --count) {
        const uint8_t type = byte();
        if (typed) vocabulary.types.push_back(static_cast<TokenType>(type % 9));
        float score = type;
        if (const std::string_view raw = take(4); (flags & 32) && raw.size() == 4)
            std::memcpy(&score, raw.data(), 4);
        if (scored) vocabulary.scores.push_back(score);
        vocabulary.tokens.emplace_back(take(byte() % 16));
    }
    for (size_t count = byte() % 32; count > 0; --count)
        vocabulary.merges.emplace_back(take(byte() % 8));
    for (auto id : {&Vocabulary::bos, &Vocabulary::eos, &Vocabulary::unk})
        if (const uint8_t value = byte(); value < 200)
            vocabulary.*id = static_cast<Token>(value) - 1;
    const auto made = Tokenizer::create(std::move(vocabulary));
    if (!made.ok()) {
        require(!made.error().tag.empty() && !made.error().message.empty());
        return;
    }
    const auto tokens = (*made)->encode(bytes);
    if (!tokens.ok()) return;
    const auto size = static_cast<Token>((*made)->vocabulary().tokens.size());
    for (const Token token : *tokens)
        require(token >= 0 && token < size);
    (void)(*made)->decode(*tokens, true);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const std::shared_ptr<const Tokenizer> tokenizers[] = {
        spm(),         bpe("gpt-2"),        bpe("llama-bpe"),
        bpe("gpt-4o"), bpe("deepseek-llm"), bpe("deepseek-v3"),
        bpe("falcon")};
    if (size == 0) return 0;
    const std::string_view bytes(reinterpret_cast<const char *>(data), size);
    const size_t choice = static_cast<uint8_t>(bytes[0]) % (std::size(tokenizers) + 1);
    if (choice < std::size(tokenizers))
        check_text(tokenizers[choice], bytes.substr(1));
    else
        check_vocabulary_bytes(bytes.substr(1));
    return 0;
}
