// The general decoder: layers of attention and feed-forward with residuals around them.
#pragma once

#include "core/models/layers.h"

namespace realizar {

// Attention of one layer, [T, W] -> [T, W].
using AttentionBlock = TensorId (*)(StepBuilder &step, uint32_t layer, TensorId x);

// Embedding, all layers, the last norm and the head, by the model's traits. Returns the logits.
TensorId decode_with(StepBuilder &step, AttentionBlock attention);

} // namespace realizar
