// llama.cpp through its public C API, opened at run time from a folder of prebuilt libraries.
//
// Only what a speed comparison needs. The parameter structs grow from release to release and are
// passed by value; both are far larger than two registers, so the System V ABI puts them on the
// stack, and a copy that is longer than the callee's idea of them is harmless. We name the leading
// fields, which have kept their place, and let the library fill the rest with its defaults.
#pragma once

#include "core/common/result.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

namespace realizar::bench {

struct LlamaCppOptions {
    std::filesystem::path libraries; // folder with libllama*.so and libggml*.so
    std::filesystem::path model;
    uint32_t context = 4096;
    uint32_t batch = 2048, micro_batch = 512;
    uint32_t sequences = 1;
    int32_t threads = 1;
    int32_t gpu_layers = 0; // 999: all
};

class LlamaCpp {
  public:
    // Not thread-safe: libraries are opened the first time and stay.
    static Result<std::unique_ptr<LlamaCpp>> load(const LlamaCppOptions &options);
    ~LlamaCpp();

    uint32_t vocabulary() const;
    // Forgets everything in the KV cache.
    void clear();
    // Keeps `length` tokens of sequence 0 and nothing else; false: this model cannot, clear() instead.
    bool cut(uint32_t length);
    // Evaluates tokens of sequence 0 after what is there; returns when the logits are there.
    Status prompt(std::span<const int32_t> tokens);
    // One token for each sequence 0..n-1 at `position`.
    Status decode(std::span<const int32_t> tokens, int32_t position);

  private:
    LlamaCpp();
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace realizar::bench
