#include "plugins/vulkan/plan/layout.h"

#include <algorithm>

namespace realizar::vulkan {

namespace {

struct Block {
    uint32_t storage = RZ_NONE;
    int64_t size = 0;
    size_t first = 0, last = 0; // steps
    int64_t offset = 0;
};

int64_t size_of(const Tensor &t) {
    const auto bytes = static_cast<uint64_t>(std::max<int64_t>(t.extent(t.dims[0]), 1));
    return static_cast<int64_t>(align_up(bytes, kPlaceAlignment));
}

std::vector<Block> temporaries(const Region &region,
                               const std::vector<std::unique_ptr<Step>> &steps,
                               const std::vector<bool> &elsewhere) {
    std::vector<Block> blocks(region.tensors.size());
    for (size_t i = 0; i < steps.size(); ++i)
        for (const Access &access : steps[i]->accesses) {
            const uint32_t s = access.view.storage();
            Block &b = blocks[s];
            if (b.storage == RZ_NONE) b = {s, size_of(region.tensors[s]), i, i, 0};
            b.last = i;
        }
    std::erase_if(blocks, [&](const Block &b) {
        return b.storage == RZ_NONE || region.tensors[b.storage].role != RZ_ROLE_TEMP ||
               elsewhere[b.storage] ||
               std::find(region.outputs.begin(), region.outputs.end(), b.storage) !=
                   region.outputs.end();
    });
    return blocks;
}

} // namespace

Layout make_layout(const Region &region, const std::vector<std::unique_ptr<Step>> &steps,
                   const std::vector<bool> &elsewhere) {
    Layout layout;
    layout.inputs.assign(region.tensors.size(), -1);
    layout.scratch.assign(region.tensors.size(), -1);
    for (uint32_t i = 0; i < region.tensors.size(); ++i) {
        const Tensor &t = region.tensors[i];
        if (t.role != RZ_ROLE_INPUT || t.is_view(i)) continue;
        layout.inputs[i] = static_cast<int64_t>(layout.input_bytes);
        layout.input_bytes += static_cast<uint64_t>(size_of(t));
    }
    for (const uint32_t i : region.outputs) {
        if (region.tensors[i].role != RZ_ROLE_TEMP || layout.scratch[i] >= 0) continue;
        layout.scratch[i] = static_cast<int64_t>(layout.scratch_bytes);
        layout.scratch_bytes += static_cast<uint64_t>(size_of(region.tensors[i]));
    }
    // Largest first, each at the lowest place that is free during all its steps.
    std::vector<Block> blocks = temporaries(region, steps, elsewhere);
    std::stable_sort(blocks.begin(), blocks.end(),
                     [](const Block &a, const Block &b) { return a.size > b.size; });
    std::vector<const Block *> placed; // by offset
    int64_t bytes = 0;
    for (Block &b : blocks) {
        for (const Block *other : placed) {
            const bool together = other->first <= b.last && b.first <= other->last;
            if (together && b.offset + b.size > other->offset)
                b.offset = std::max(b.offset, other->offset + other->size);
        }
        placed.insert(
            std::upper_bound(placed.begin(), placed.end(), &b,
                             [](const Block *x, const Block *y) { return x->offset < y->offset; }),
            &b);
        bytes = std::max(bytes, b.offset + b.size);
        layout.scratch[b.storage] = static_cast<int64_t>(layout.scratch_bytes) + b.offset;
    }
    layout.scratch_bytes += static_cast<uint64_t>(bytes);
    return layout;
}

} // namespace realizar::vulkan
