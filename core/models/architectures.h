// The table of architectures: one row and one file each.
#pragma once

#include "core/models/layers.h"

#include <span>

namespace realizar {

struct Architecture {
    const char *name; // general.architecture
    bool rope_halves; // which pairs RoPE rotates; see RZ_ROPE_* in backend.h
    // Adds the network to the builder and returns the logits, [R, vocabulary].
    TensorId (*build)(StepBuilder &step);
};

std::span<const Architecture> architectures();

// llama.cpp: Llama 1-3, Mistral, TinyLlama, SmolLM2, ... and qwen2, the same network with biases.
TensorId build_llama(StepBuilder &step);

} // namespace realizar
