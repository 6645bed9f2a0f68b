// The table of architectures: one row each, with what is special in its traits. Networks that the
// general decoder does not fit have a file of their own.
#pragma once

#include "core/models/layers.h"

#include <span>

namespace realizar {

struct Architecture {
    const char *name; // general.architecture
    Traits traits;
    // Adds the network to the builder and returns the logits, [R, vocabulary].
    TensorId (*build)(StepBuilder &step);
};

std::span<const Architecture> architectures();

TensorId build_decoder(StepBuilder &step);   // decoder.cpp
TensorId build_deepseek2(StepBuilder &step); // deepseek2.cpp
TensorId build_mamba(StepBuilder &step);     // mamba.cpp

} // namespace realizar
