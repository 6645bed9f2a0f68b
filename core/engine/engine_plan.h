// Steps as they are to be expected, for measuring and planning.
#pragma once

#include "core/engine/kv_pages.h"
#include "core/models/model.h"
#include "core/scheduler/cost_measure.h"

#include <optional>
#include <span>
#include <vector>

namespace realizar {

struct ExpectedUse {
    uint32_t context = 0;
    uint32_t vocabulary = 0;
    uint32_t window = 0; // of the widest sliding one; 0: none
    KvPages pages;       // of empty sequences
    std::optional<KvPages> window_pages;
};

// Of the variants of a step, single tokens first and prompt batches second: tokens with a short and
// with a full context, and a prompt; weighed as an answer of 128 tokens to a prompt of 512.
std::vector<StepSample> expected_steps(std::span<const Graph> variants, const ExpectedUse &use);

} // namespace realizar
