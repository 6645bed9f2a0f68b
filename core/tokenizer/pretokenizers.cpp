#include "core/tokenizer/pretokenizers.h"

#include "core/tokenizer/utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <string>

namespace realizar {

namespace {

// The patterns are those of the tokenizer.json or tiktoken files that the models were published
// with. Every one of them takes linear time: where a run of characters cannot match at its first
// character it is not tried again at each of the others.

// GPT-2. What is left between matches (white space) is a word too.
constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))";

// Llama 3 and cl100k: digits in threes.
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})"
    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// The same with single digits.
constexpr std::string_view kQwen2 = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})"
                                    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// The same with marks as parts of words.
constexpr std::string_view kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N})"
    R"(| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// o200k: words also end where upper case follows lower case.
constexpr std::string_view kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr std::string_view kDigit = R"(\p{N})";
constexpr std::string_view kNewline = R"([\r\n])";
// CJK ideographs, the scripts U+0800..U+4E00 and Hangul, as the DeepSeek files give the ranges.
constexpr std::string_view kDeepseekCjk =
    R"([\x{4E00}-\x{9FA5}\x{0800}-\x{4E00}\x{AC00}-\x{D7FF}]+)";
// The cased letters of the Unicode version that DeepSeek LLM was published with.
constexpr std::string_view kDeepseekLetters =
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚ)"
    R"(Ḁ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄ)"
    R"(Ⰰ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)";
constexpr std::string_view kDeepseek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
    R"(| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kBloom = R"( ?[^(\s|.,!?…。，、।۔،)]+)";

const std::vector<PretokenizerRow> &rows() {
    static const std::vector<PretokenizerRow> table = {
        {"default", {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
        {"gpt-2 phi-2 mpt olmo jais trillion granite-docling jina-es jina-de jina-v2-es "
         "jina-v2-de jina-v2-code roberta-bpe exaone4",
         {kGpt2}},
        {"starcoder refact command-r smollm codeshell exaone minerva-7b", {kDigit, kGpt2}},
        {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2",
         {kLlama3},
         true,
         true},
        {"dbrx smaug-bpe glm4 chatglm-bpe", {kLlama3}},
        {"qwen2 stablelm2 hunyuan grok-2 deepseek-r1-qwen megrez", {kQwen2}},
        {"qwen35", {kQwen35}},
        {"gpt-4o llama4", {kGpt4o}},
        {"tekken", {kTekken}, true, true},
        {"deepseek-llm",
         {kNewline, kDeepseekLetters, R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)",
          // Only whole runs: \s+$ alone would be tried at each character of a run.
          R"((?<!\s)\s++$)", kDeepseekCjk, R"(\p{N}+)"}},
        {"deepseek-coder", {kNewline, R"(\s?\p{L}+)", R"(\s?\p{P}+)", kDeepseekCjk, kDigit}},
        {"deepseek-v3 hunyuan-dense",
         {R"(\p{N}{1,3})", R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)",
          kDeepseek3}},
        {"falcon", {R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2, "[0-9][0-9][0-9]"}},
        {"bloom poro-chat gpt3-finnish", {kBloom}},
        {"viking", {kBloom, kDigit}},
    };
    return table;
}

// Calls each(name) for the names of a row until it returns true.
template <class Each>
bool any_name(std::string_view names, const Each &each) {
    while (!names.empty()) {
        const size_t end = std::min(names.find(' '), names.size());
        if (each(names.substr(0, end))) return true;
        names.remove_prefix(std::min(end + 1, names.size()));
    }
    return false;
}

} // namespace

Result<const PretokenizerRow *> find_pretokenizer(std::string_view name) {
    if (name.empty()) name = "default";
    std::string known;
    for (const PretokenizerRow &row : rows()) {
        if (any_name(row.names, [&](std::string_view each) { return each == name; })) return &row;
        known.append(known.empty() ? "" : " ").append(row.names);
    }
    return make_error(Code::unsupported, "unsupported_pretokenizer",
                      "tokenizer.ggml.pre: expected one of %s, found '%s'", known.c_str(),
                      printable(name).c_str());
}

struct Pretokenizer::Pattern {
    struct Free {
        void operator()(pcre2_code *code) const { pcre2_code_free(code); }
    };
    std::unique_ptr<pcre2_code, Free> code;
};

Pretokenizer::Pretokenizer() = default;
Pretokenizer::Pretokenizer(Pretokenizer &&) noexcept = default;
Pretokenizer::~Pretokenizer() = default;

Result<Pretokenizer> Pretokenizer::create(const PretokenizerRow &row) {
    Pretokenizer made;
    for (const std::string_view pattern : row.patterns) {
        int error = 0;
        size_t offset = 0;
        Pattern compiled;
        compiled.code.reset(
            pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                          PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &error, &offset, nullptr));
        if (!compiled.code) {
            PCRE2_UCHAR text[128] = {};
            pcre2_get_error_message(error, text, sizeof text);
            return make_error(Code::internal, "bad_pattern", "%s at byte %zu of the pattern '%s'",
                              reinterpret_cast<const char *>(text), offset,
                              printable(pattern).c_str());
        }
        // Where just-in-time compilation is not to be had the interpreter gives the same result.
        (void)pcre2_jit_compile(compiled.code.get(), PCRE2_JIT_COMPLETE);
        made.patterns_.push_back(std::move(compiled));
    }
    return made;
}

namespace {

struct FreeMatch {
    void operator()(pcre2_match_data *data) const { pcre2_match_data_free(data); }
};
using MatchData = std::unique_ptr<pcre2_match_data, FreeMatch>;

// Appends the matches in `text`, which is valid UTF-8, and what is between them.
Status cut(const pcre2_code *code, pcre2_match_data *data, std::string_view text,
           std::vector<std::string_view> &out) {
    size_t done = 0;  // of what has been appended
    size_t start = 0; // of the search
    while (start < text.size()) {
        const int found = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                      start, PCRE2_NO_UTF_CHECK, data, nullptr);
        if (found == PCRE2_ERROR_NOMATCH) break;
        if (found < 0) {
            PCRE2_UCHAR message[128] = {};
            pcre2_get_error_message(found, message, sizeof message);
            return make_error(Code::internal, "pretokenizer_failed", "at byte %zu of the text: %s",
                              start, reinterpret_cast<const char *>(message));
        }
        const size_t *range = pcre2_get_ovector_pointer(data);
        if (range[1] == range[0]) { // an empty match cuts nothing
            start = range[1] + next_utf8(text.substr(range[1])).length;
            continue;
        }
        if (range[0] > done) out.push_back(text.substr(done, range[0] - done));
        out.push_back(text.substr(range[0], range[1] - range[0]));
        done = start = range[1];
    }
    if (done < text.size()) out.push_back(text.substr(done));
    return {};
}

} // namespace

Result<std::vector<std::string_view>> Pretokenizer::split(std::string_view text) const {
    std::vector<std::string_view> words, next;
    const MatchData data(pcre2_match_data_create(1, nullptr));
    if (!data)
        return make_error(Code::out_of_memory, "out_of_memory", "no memory for a pattern match");
    while (!text.empty()) {
        std::vector<std::string_view> run;
        if (const size_t valid = valid_utf8_prefix(text); valid > 0) {
            run.push_back(text.substr(0, valid));
            text.remove_prefix(valid);
        }
        for (const Pattern &pattern : patterns_) {
            next.clear();
            for (const std::string_view word : run)
                RZ_TRY(cut(pattern.code.get(), data.get(), word, next));
            std::swap(run, next);
        }
        words.insert(words.end(), run.begin(), run.end());
        size_t bad = 0;
        while (bad < text.size()) {
            const Utf8Unit unit = next_utf8(text.substr(bad));
            if (unit.kind == Utf8Kind::whole) break;
            bad += unit.length;
        }
        if (bad > 0) words.push_back(text.substr(0, bad));
        text.remove_prefix(bad);
    }
    return words;
}

} // namespace realizar
