#include "plugins/cpu/arena.h"

#include <algorithm>

namespace realizar::cpu {

namespace {

struct Block {
    uint32_t storage;
    int64_t size;
    size_t first, last; // phases
    int64_t offset = 0;
};

std::vector<Block> temporaries(const Region &region, const std::vector<Phase> &phases) {
    std::vector<Block> blocks(region.tensors.size());
    for (size_t p = 0; p < phases.size(); ++p)
        for (const Group &group : phases[p].groups)
            for (const Step *step : group.steps)
                for (const Access &access : step->accesses) {
                    const uint32_t s = access.view.storage();
                    Block &b = blocks[s];
                    if (b.size == 0) {
                        const Tensor &t = region.tensors[s];
                        const int64_t bytes = std::max<int64_t>(t.extent(t.dims[0]), 1);
                        b = {s, static_cast<int64_t>(align_up(static_cast<uint64_t>(bytes))), p, p};
                    }
                    b.last = p;
                }
    std::erase_if(blocks, [&](const Block &b) {
        if (b.size == 0 || region.tensors[b.storage].role != RZ_ROLE_TEMP) return true;
        const auto &outputs = region.outputs;
        return std::find(outputs.begin(), outputs.end(), b.storage) != outputs.end();
    });
    return blocks;
}

} // namespace

Layout make_layout(const Region &region, const std::vector<Phase> &phases) {
    Layout layout;
    layout.offsets.assign(region.tensors.size(), -1);
    const auto own = [&](uint32_t storage) {
        const Tensor &t = region.tensors[storage];
        layout.offsets[storage] = static_cast<int64_t>(layout.bytes);
        layout.bytes += align_up(static_cast<uint64_t>(t.extent(t.dims[0])));
    };
    for (uint32_t i = 0; i < region.tensors.size(); ++i)
        if (region.tensors[i].role == RZ_ROLE_INPUT && !region.tensors[i].is_view(i)) own(i);
    for (const uint32_t i : region.outputs)
        if (region.tensors[i].role == RZ_ROLE_TEMP && layout.offsets[i] < 0) own(i);

    // Largest first, each at the lowest place that is free during all its phases.
    std::vector<Block> blocks = temporaries(region, phases);
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
        layout.offsets[b.storage] = static_cast<int64_t>(layout.bytes) + b.offset;
    }
    layout.bytes += static_cast<uint64_t>(bytes);
    return layout;
}

} // namespace realizar::cpu
