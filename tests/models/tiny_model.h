// A tiny Llama as data: tests change it and write it to a file.
#pragma once

#include "core/format/gguf.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include <unistd.h>

namespace realizar::test {

struct TinyTensor {
    DType dtype = DType::F32;
    std::vector<int64_t> dims;
};

// heads 2 of width 4, one key-value head.
struct TinyModel {
    static constexpr int64_t kVocabulary = 16, kWidth = 8, kKeys = 4, kForward = 12;
    std::map<std::string, std::variant<uint32_t, float, std::string, std::vector<int32_t>>> keys = {
        {"general.architecture", "llama"},     {"llama.block_count", 2u},
        {"llama.embedding_length", 8u},        {"llama.context_length", 32u},
        {"llama.feed_forward_length", 12u},    {"llama.attention.head_count", 2u},
        {"llama.attention.head_count_kv", 1u}, {"llama.attention.layer_norm_rms_epsilon", 1e-5f},
    };
    std::map<std::string, TinyTensor> tensors;
    bool vocabulary = false; // with a tokenizer, so that an engine can load it

    TinyModel() {
        tensors["token_embd.weight"].dims = {kVocabulary, kWidth};
        tensors["output_norm.weight"].dims = {kWidth};
        for (const std::string layer : {"blk.0.", "blk.1."}) {
            tensors[layer + "attn_norm.weight"].dims = {kWidth};
            tensors[layer + "attn_q.weight"].dims = {kWidth, kWidth};
            tensors[layer + "attn_k.weight"].dims = {kKeys, kWidth};
            tensors[layer + "attn_v.weight"].dims = {kKeys, kWidth};
            tensors[layer + "attn_output.weight"].dims = {kWidth, kWidth};
            tensors[layer + "ffn_norm.weight"].dims = {kWidth};
            tensors[layer + "ffn_gate.weight"].dims = {kForward, kWidth};
            tensors[layer + "ffn_up.weight"].dims = {kForward, kWidth};
            tensors[layer + "ffn_down.weight"].dims = {kWidth, kForward};
        }
    }

    // Weights are random numbers between -0.5 and 0.5 (as F32; other types get their bytes).
    void write(const std::filesystem::path &path) const {
        GgufWriter writer;
        for (const auto &[key, value] : keys) {
            if (const auto *number = std::get_if<uint32_t>(&value)) writer.set_u32(key, *number);
            if (const auto *real = std::get_if<float>(&value)) writer.set_f32(key, *real);
            if (const auto *text = std::get_if<std::string>(&value)) writer.set_string(key, *text);
            if (const auto *list = std::get_if<std::vector<int32_t>>(&value))
                writer.set_i32_array(key, *list);
        }
        if (vocabulary) {
            writer.set_string("tokenizer.ggml.model", "llama");
            std::vector<std::string> pieces = {"<unk>", "<s>", "</s>"};
            while (pieces.size() < kVocabulary)
                pieces.push_back(std::string(1, static_cast<char>('a' + pieces.size())));
            writer.set_string_array("tokenizer.ggml.tokens", pieces);
            writer.set_f32_array("tokenizer.ggml.scores", std::vector<float>(kVocabulary, 0));
            std::vector<int32_t> types(kVocabulary, 1);
            types[0] = 2, types[1] = types[2] = 3;
            writer.set_i32_array("tokenizer.ggml.token_type", types);
        }
        for (const auto &[name, tensor] : tensors)
            writer.add_tensor(name, tensor.dtype, tensor.dims);
        auto status = writer.begin(path);
        ASSERT_TRUE(status.ok()) << status.error().message;
        std::mt19937 random(1);
        for (const auto &[name, tensor] : tensors) {
            uint64_t elements = 1;
            for (const int64_t dim : tensor.dims)
                elements *= static_cast<uint64_t>(dim);
            std::vector<std::byte> bytes(row_bytes(tensor.dtype, elements));
            for (size_t i = 0; i + 4 <= bytes.size(); i += 4) {
                const float value = static_cast<float>(random()) / 4294967296.0f - 0.5f;
                std::memcpy(&bytes[i], &value, 4);
            }
            ASSERT_TRUE(writer.write_tensor(bytes).ok());
        }
        ASSERT_TRUE(writer.finish().ok());
    }
};

// A folder that goes away with the object.
class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "realizar-XXXXXX").string();
        path_ = ::mkdtemp(name.data());
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder &) = delete;
    TemporaryFolder &operator=(const TemporaryFolder &) = delete;
    const std::filesystem::path &path() const { return path_; }

  private:
    std::filesystem::path path_;
};

} // namespace realizar::test
