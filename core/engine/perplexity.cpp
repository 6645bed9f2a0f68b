#include "core/engine/perplexity.h"

#include <algorithm>
#include <cmath>

namespace realizar {
namespace {

// Documents between separators; line breaks that belong to a separator line are not text.
std::vector<std::string_view> split(std::string_view text, std::string_view separator) {
    std::vector<std::string_view> documents;
    const auto add = [&](std::string_view document) {
        while (!document.empty() && document.front() == '\n')
            document.remove_prefix(1);
        while (!document.empty() && document.back() == '\n')
            document.remove_suffix(1);
        if (!document.empty()) documents.push_back(document);
    };
    if (separator.empty()) return {text};
    for (size_t at; (at = text.find(separator)) != std::string_view::npos;
         text.remove_prefix(at + separator.size()))
        add(text.substr(0, at));
    add(text);
    return documents;
}

Result<std::vector<Token>> token_stream(const Tokenizer &tokenizer, std::string_view text,
                                        const std::string &separator, size_t limit) {
    const Vocabulary &vocabulary = tokenizer.vocabulary();
    std::vector<Token> stream;
    for (const std::string_view document : split(text, separator)) {
        RZ_ASSIGN(const std::vector<Token> tokens, tokenizer.encode(document, {false, false}));
        if (vocabulary.bos) stream.push_back(*vocabulary.bos);
        stream.insert(stream.end(), tokens.begin(), tokens.end());
        if (vocabulary.eos) stream.push_back(*vocabulary.eos);
        if (stream.size() >= limit) break;
    }
    return stream;
}

double negative_log_likelihood(std::span<const float> logits, Token token) {
    const double largest = *std::ranges::max_element(logits);
    double sum = 0;
    for (const float logit : logits)
        sum += std::exp(logit - largest);
    return std::log(sum) + largest - logits[static_cast<size_t>(token)];
}

} // namespace

Result<Perplexity> perplexity(Session &session, std::string_view text,
                              const PerplexityOptions &options) {
    const Engine &engine = session.engine();
    if (options.chunk < 2 || options.chunk > engine.context())
        return make_error(Code::invalid_argument, "bad_option",
                          "chunk: expected 2 to the context of %u tokens, found %u",
                          engine.context(), options.chunk);
    const size_t limit = options.chunks ? size_t{options.chunks} * options.chunk : SIZE_MAX;
    RZ_ASSIGN(const std::vector<Token> stream,
              token_stream(*engine.tokenizer(), text, options.separator, limit));
    const auto chunks = static_cast<uint32_t>(std::min(limit, stream.size()) / options.chunk);
    if (chunks == 0)
        return make_error(Code::invalid_argument, "text_too_short",
                          "expected at least %u tokens of text, found %zu", options.chunk,
                          stream.size());
    Perplexity out;
    double sum = 0;
    for (uint32_t i = 0; i < chunks; ++i) {
        const auto chunk = std::span(stream).subspan(size_t{i} * options.chunk, options.chunk);
        session.cut(0);
        RZ_TRY(session.append(chunk, [&](size_t index, std::span<const float> logits) {
            if (index + 1 < chunk.size()) sum += negative_log_likelihood(logits, chunk[index + 1]);
        }));
        out.tokens += options.chunk - 1;
        out.chunks = i + 1;
        if (options.progress && !options.progress(i + 1, chunks))
            return make_error(Code::cancelled, "cancelled", "the request was cancelled");
    }
    out.value = std::exp(sum / static_cast<double>(out.tokens));
    return out;
}

} // namespace realizar
