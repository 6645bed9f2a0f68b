// An engine that can be timed: realizar itself or a peer, behind one interface.
#pragma once

#include "core/common/result.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>

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

// Uses the engine's sequences from 0 on, which are empty before and afterwards.
std::unique_ptr<Contender> realizar_contender(std::shared_ptr<Engine> engine, std::string name);
// `libraries`: a folder with prebuilt llama.cpp libraries; see bench/peers.
Result<std::unique_ptr<Contender>> llama_cpp_contender(const std::string &libraries,
                                                       const std::string &model, int threads,
                                                       uint32_t context, uint32_t sequences,
                                                       int gpu_layers);
// Reads what a decode step of the engine must read (StepBytes) and computes nothing, in the way that was
// the fastest when it was made: the roof of decoding. Its prompts take no time. Tag: out_of_memory.
Result<std::unique_ptr<Contender>> memory_contender(const Engine &engine, unsigned threads);

} // namespace realizar::bench
