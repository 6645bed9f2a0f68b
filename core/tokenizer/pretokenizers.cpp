#include "core/tokenizer/pretokenizers.h"

#include "core/format/published_patterns.h"
#include "core/tokenizer/utf8.h"

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

constexpr std::string_view kDigit = R"(\p{N})";
constexpr std::string_view kNewline = R"([\r\n])";
// CJK ideographs, the scripts U+0800..U+4E00 and Hangul, as the DeepSeek files give the ranges.
constexpr std::string_view kDeepseekCjk =
    R"([\x{4E00}-\x{9FA5}\x{0800}-\x{4E00}\x{AC00}-\x{D7FF}]+)";
// The cased letters of the Unicode version that DeepSeek LLM was published with.
constexpr std::string_view kDeepseekLetters =
    R"(\s?[A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293})"
    R"(\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A})"
    R"(\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556})"
    R"(\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF})"
    R"(\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D})"
    R"(\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D})"
    R"(\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4})"
    R"(\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4})"
    R"(\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124})"
    R"(\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F})"
    R"(\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4})"
    R"(\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F})"
    R"(\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17})"
    R"(\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3})"
    R"(\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF})"
    R"(\x{1E900}-\x{1E943}]+)";
constexpr std::string_view kDeepseek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
    R"(| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kBloom =
    R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)";

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
         {kNewline, kDeepseekLetters,
          R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)",
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

Pretokenizer::Pretokenizer() = default;
Pretokenizer::Pretokenizer(Pretokenizer &&) noexcept = default;
Pretokenizer::~Pretokenizer() = default;

Result<Pretokenizer> Pretokenizer::create(const PretokenizerRow &row) {
    Pretokenizer made;
    for (const std::string_view text : row.patterns) {
        RZ_ASSIGN(Pattern pattern, Pattern::compile(text));
        made.patterns_.push_back(std::move(pattern));
    }
    return made;
}

namespace {

// Appends the matches in `text`, which is valid UTF-8, and what is between them.
Status cut(const Pattern &pattern, std::string_view text, std::vector<std::string_view> &out) {
    size_t done = 0;
    RZ_TRY(pattern.each_match(text, [&](size_t begin, size_t end) {
        if (begin > done) out.push_back(text.substr(done, begin - done));
        out.push_back(text.substr(begin, end - begin));
        done = end;
    }));
    if (done < text.size()) out.push_back(text.substr(done));
    return {};
}

} // namespace

Result<std::vector<std::string_view>> Pretokenizer::split(std::string_view text) const {
    std::vector<std::string_view> words, next;
    while (!text.empty()) {
        std::vector<std::string_view> run;
        if (const size_t valid = valid_utf8_prefix(text); valid > 0) {
            run.push_back(text.substr(0, valid));
            text.remove_prefix(valid);
        }
        for (const Pattern &pattern : patterns_) {
            next.clear();
            for (const std::string_view word : run)
                RZ_TRY(cut(pattern, word, next));
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
