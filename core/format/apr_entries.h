// GGUF entries built in memory, and the names under which APR metadata has what they say. Internal to
// core/format.
#pragma once

#include "core/format/gguf_parse.h"

#include <nlohmann/json.hpp>

namespace realizar {

// Adds entries whose texts and arrays the contents own.
class EntryMaker {
  public:
    explicit EntryMaker(GgufContents &contents) : contents_(contents) {}

    std::string_view own(std::string text) { return contents_.owned.emplace_back(std::move(text)); }
    void add(std::string key, GgufType type, GgufValue value) {
        contents_.entries.push_back({own(std::move(key)), type, std::move(value)});
    }
    void add_u32(std::string key, uint32_t value) {
        add(std::move(key), GgufType::u32, uint64_t(value));
    }
    void add_f32(std::string key, double value) { add(std::move(key), GgufType::f32, value); }
    void add_string(std::string key, std::string value) {
        add(std::move(key), GgufType::string, own(std::move(value)));
    }
    // `bytes`: the packed elements.
    void add_array(std::string key, GgufType element, uint64_t count, std::string bytes) {
        GgufArray array;
        array.element = element;
        array.count = count;
        array.bytes = std::as_bytes(std::span(own(std::move(bytes))));
        add(std::move(key), GgufType::array, std::move(array));
    }
    void add_strings(std::string key, std::vector<std::string> values) {
        GgufArray array;
        array.element = GgufType::string;
        array.count = values.size();
        for (std::string &value : values)
            array.strings.push_back(own(std::move(value)));
        add(std::move(key), GgufType::array, std::move(array));
    }

  private:
    GgufContents &contents_;
};

// GGUF arrays and texts that APR has under keys of its own; "gguf" does not repeat them.
struct SharedKey {
    const char *gguf, *apr;
};
inline constexpr SharedKey kSharedKeys[] = {
    {"tokenizer.ggml.tokens", "tokenizer.vocabulary"},
    {"tokenizer.ggml.merges", "tokenizer.merges"},
    {"tokenizer.ggml.scores", "tokenizer.scores"},
    {"tokenizer.chat_template", "chat_template"},
};

// [[key, type name, value], ...]; the value of a shared key is null. Tag not_utf8.
Result<nlohmann::json> entries_to_json(std::span<const GgufEntry> entries);
// One value as JSON: numbers that JSON does not have as texts, arrays as arrays. Tag not_utf8.
Result<nlohmann::json> value_to_json(const GgufEntry &entry);
// The opposite; `shared` is the whole metadata. Tag bad_metadata.
Status entries_from_json(const nlohmann::json &list, const nlohmann::json &shared,
                         GgufContents &contents);

// What files of other writers say about a language model, as GGUF entries. Tag bad_metadata.
Status entries_from_keys(const nlohmann::json &metadata, GgufContents &contents);

// The GGUF name of a tensor with a Hugging Face name; the name itself if it is another.
std::string gguf_tensor_name(std::string_view name);

} // namespace realizar
