// The token list of a model under conversion. Internal to core/format.
#pragma once

#include "core/format/gguf.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace realizar {

// tokenizer.ggml.token_type
inline constexpr int32_t kHfNormal = 1, kHfControl = 3, kHfUserDefined = 4, kHfUnused = 5;

struct HfTokens {
    std::vector<std::string> texts;
    std::vector<float> scores; // SentencePiece only; else empty
    std::vector<int32_t> types;

    // `count` unused tokens.
    explicit HfTokens(uint32_t count) : types(count, kHfUnused) {
        for (uint32_t id = 0; id < count; ++id)
            texts.push_back("[PAD" + std::to_string(id) + "]");
    }
    std::optional<uint32_t> find(std::string_view text) const {
        const auto found = std::ranges::find(texts, text);
        if (found == texts.end()) return std::nullopt;
        return static_cast<uint32_t>(found - texts.begin());
    }
};

// What tokenizer.json says, byte-level BPE only: fills `tokens` and sets tokenizer.ggml.model, .pre
// and .merges. Returns the token that it puts before every text, if any.
Result<std::optional<uint32_t>> read_hf_tokenizer_json(const std::filesystem::path &path,
                                                       HfTokens &tokens, GgufWriter &writer);

} // namespace realizar
