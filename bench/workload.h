// What is timed, and how: the same token work given to several engines in turn.
//
// A workload is a prompt of p tokens, or n decode steps of s sequences after d tokens of context. Each
// repetition runs every contender once, A B A B ..., so that drift of the machine hits all alike. The
// context of a workload is evaluated once, and cut back to its length before each repetition.
#pragma once

#include "core/common/result.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace realizar {
class Engine;
}

namespace realizar::bench {

// One engine with one model loaded. Not thread-safe.
class Contender {
  public:
    virtual ~Contender() = default;
    virtual std::string name() const = 0;
    virtual uint32_t vocabulary() const = 0;
    // Forgets all sequences.
    virtual Status clear() = 0;
    // Shortens sequence 0 to `length` tokens and forgets the others; false: cannot, clear() instead.
    virtual bool cut(uint32_t length) = 0;
    // Appends tokens to sequence 0; returns when the logits of the last are in host memory.
    virtual Status prompt(std::span<const int32_t> tokens) = 0;
    // One token for each of the sequences 0..tokens.size()-1, all at `position`.
    virtual Status decode(std::span<const int32_t> tokens, uint32_t position) = 0;
};

std::unique_ptr<Contender> realizar_contender(std::shared_ptr<Engine> engine, std::string name);
// `libraries`: a folder with prebuilt llama.cpp libraries; see bench/peers.
Result<std::unique_ptr<Contender>> llama_cpp_contender(const std::string &libraries,
                                                       const std::string &model, int threads,
                                                       uint32_t context, uint32_t sequences,
                                                       int gpu_layers);

struct Workload {
    uint32_t prompt = 0;       // tokens; 0: a decode workload
    uint32_t decode = 0;       // steps
    uint32_t depth = 0;        // tokens in the context before; one sequence only
    uint32_t sequences = 1;    // decoded together
    std::string label() const; // "pp512", "tg64", "tg64@d4096", "tg64x8"
    uint32_t context() const { return depth + prompt + decode; }
};

struct Measurement {
    std::string contender, test;
    std::vector<double> samples; // tokens per second, in the order measured
    double median() const;
    double min() const;
    double max() const;
};

// Runs each workload once for warm-up and then `repetitions` times. `progress` may be empty; returning
// false cancels.
Result<std::vector<Measurement>> measure(std::span<const std::unique_ptr<Contender>> contenders,
                                         std::span<const Workload> workloads, uint32_t repetitions,
                                         const std::function<bool(const std::string &)> &progress);

} // namespace realizar::bench
