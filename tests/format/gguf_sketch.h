// GGUF files put together byte by byte, valid or not, without the project's writer: every count and
// length of the format can be overridden with a lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace realizar::test {

template <class T>
std::string raw(T value) {
    std::string out(sizeof value, '\0');
    std::memcpy(out.data(), &value, sizeof value);
    return out;
}

inline std::string raw_string(const std::string &text) { return raw(uint64_t(text.size())) + text; }

// Values as they stand in the file: type, then content.
template <class T>
std::string value(uint32_t type, T content) {
    return raw(type) + raw(content);
}
inline std::string u32_value(uint32_t content) { return value(4, content); }
inline std::string string_value(const std::string &text) { return raw(8u) + raw_string(text); }
inline std::string array_value(uint32_t element, uint64_t count, const std::string &content) {
    return raw(9u) + raw(element) + raw(count) + content;
}

struct SketchEntry {
    std::string key;
    std::string value; // type and content
    std::optional<uint64_t> key_length = {};
};

struct SketchTensor {
    std::string name;
    std::vector<uint64_t> dims; // in file order
    uint32_t type = 0;
    uint64_t offset = 0;
    std::optional<uint64_t> name_length = {};
    std::optional<uint32_t> rank = {};
};

struct Sketch {
    std::string magic = "GGUF";
    uint32_t version = 3;
    std::optional<uint64_t> n_tensors, n_entries;
    std::vector<SketchEntry> entries;
    std::vector<SketchTensor> tensors;
    std::string data;
    uint64_t alignment = 32;

    std::string infos() const {
        std::string out = magic + raw(version) + raw(n_tensors.value_or(tensors.size())) +
                          raw(n_entries.value_or(entries.size()));
        for (const SketchEntry &e : entries)
            out += raw(e.key_length.value_or(e.key.size())) + e.key + e.value;
        for (const SketchTensor &t : tensors) {
            out += raw(t.name_length.value_or(t.name.size())) + t.name;
            out += raw(t.rank.value_or(uint32_t(t.dims.size())));
            for (const uint64_t dim : t.dims)
                out += raw(dim);
            out += raw(t.type) + raw(t.offset);
        }
        return out;
    }

    std::string bytes() const {
        std::string out = infos();
        if (!tensors.empty() || !data.empty())
            out.resize((out.size() + alignment - 1) / alignment * alignment);
        return out + data;
    }
};

inline std::string random_bytes(std::mt19937 &random, size_t size) {
    std::string out(size, '\0');
    for (char &c : out)
        c = static_cast<char>(random());
    return out;
}

// A valid file of about `data_bytes` + 1 kB with every value type and three tensors.
inline Sketch valid_sketch(uint32_t seed, size_t f32_elements = 16) {
    std::mt19937 random(seed);
    Sketch s;
    s.entries = {
        {"general.architecture", string_value("llama")},
        {"test.u8", value(0, uint8_t(random()))},
        {"test.i8", value(1, int8_t(random()))},
        {"test.u16", value(2, uint16_t(random()))},
        {"test.i16", value(3, int16_t(random()))},
        {"test.u32", value(4, uint32_t(random()))},
        {"test.i32", value(5, int32_t(random()))},
        {"test.f32", value(6, 0.37f)},
        {"test.bool", value(7, uint8_t(1))},
        {"test.u64", value(10, uint64_t(random()) << 30)},
        {"test.i64", value(11, -(int64_t(random()) << 30))},
        {"test.f64", value(12, -1.25e-300)},
        {"test.i32s", array_value(5, 3, random_bytes(random, 12))},
        {"test.bools", array_value(7, 2, std::string("\1\0", 2))},
        {"test.strings",
         array_value(8, 3, raw_string("a") + raw_string("") + raw_string("\xE2\x96\x81x"))},
        {"general.alignment", u32_value(32)},
    };
    const uint64_t f32_bytes = (f32_elements * 4 + 31) / 32 * 32;
    s.tensors = {
        {"token_embd.weight", {f32_elements}, 0, 0},
        {"blk.0.attn_q.weight", {64, 2}, 8, f32_bytes}, // Q8_0: 4 blocks of 34 bytes, padded to 160
        {"output_norm.weight", {3, 1, 2}, 28, f32_bytes + 160}, // F64: 48 bytes
    };
    s.data = random_bytes(random, f32_bytes + 160 + 48);
    return s;
}

inline std::span<const std::byte> as_bytes(const std::string &text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

} // namespace realizar::test
