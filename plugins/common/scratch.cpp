#include "plugins/common/scratch.h"

#include <algorithm>

namespace realizar::plugin {

namespace {

struct Block {
    Lifetime life;
    int64_t size = 0, offset = 0;

    bool meets(const Block &other) const {
        return other.life.first <= life.last && life.first <= other.life.last;
    }
};

// Largest first, each at the lowest place that is free during all its steps.
int64_t place(std::vector<Block> &blocks) {
    std::stable_sort(blocks.begin(), blocks.end(),
                     [](const Block &a, const Block &b) { return a.size > b.size; });
    const auto lower = [](const Block *a, const Block *b) { return a->offset < b->offset; };
    std::vector<const Block *> placed; // by offset
    int64_t bytes = 0;
    for (Block &b : blocks) {
        for (const Block *other : placed)
            if (b.meets(*other) && b.offset + b.size > other->offset)
                b.offset = std::max(b.offset, other->offset + other->size);
        placed.insert(std::upper_bound(placed.begin(), placed.end(), &b, lower), &b);
        bytes = std::max(bytes, b.offset + b.size);
    }
    return bytes;
}

} // namespace

uint32_t add_storage(Region &region, uint64_t bytes) {
    Tensor t;
    t.dtype = RZ_DTYPE_I8;
    t.dims[0] = static_cast<int64_t>(bytes);
    t.strides[0] = 1;
    t.storage = static_cast<uint32_t>(region.tensors.size());
    t.name = "scratch";
    region.tensors.push_back(t);
    return t.storage;
}

uint32_t add_storage_like(Region &region, uint32_t tensor) {
    Tensor t = region.tensors[tensor];
    t.dtype = RZ_DTYPE_F32;
    t.role = RZ_ROLE_TEMP;
    t.storage = static_cast<uint32_t>(region.tensors.size());
    t.offset = 0;
    t.name = "scratch";
    int64_t stride = sizeof(float);
    for (uint32_t d = t.rank; d-- > 0; stride *= t.dims[d])
        t.strides[d] = stride;
    region.tensors.push_back(t);
    return t.storage;
}

ScratchLayout lay_out(const Region &region, std::span<const Lifetime> lifetimes,
                      uint64_t alignment) {
    const auto size_of = [&](uint32_t i) {
        const Tensor &t = region.tensors[i];
        return align_up(static_cast<uint64_t>(std::max<int64_t>(t.extent(t.dims[0]), 1)),
                        alignment);
    };
    ScratchLayout layout;
    layout.inputs.assign(region.tensors.size(), -1);
    layout.scratch.assign(region.tensors.size(), -1);
    for (uint32_t i = 0; i < region.tensors.size(); ++i) {
        const Tensor &t = region.tensors[i];
        if (t.role != RZ_ROLE_INPUT || t.is_view(i)) continue;
        layout.inputs[i] = static_cast<int64_t>(layout.input_bytes);
        layout.input_bytes += size_of(i);
    }
    for (const uint32_t i : region.outputs) {
        if (region.tensors[i].role != RZ_ROLE_TEMP || layout.scratch[i] >= 0) continue;
        layout.scratch[i] = static_cast<int64_t>(layout.scratch_bytes);
        layout.scratch_bytes += size_of(i);
    }
    std::vector<Block> blocks;
    for (const Lifetime &life : lifetimes)
        if (region.tensors[life.storage].role == RZ_ROLE_TEMP && layout.scratch[life.storage] < 0)
            blocks.push_back({life, static_cast<int64_t>(size_of(life.storage)), 0});
    const int64_t bytes = place(blocks);
    for (const Block &b : blocks)
        layout.scratch[b.life.storage] = static_cast<int64_t>(layout.scratch_bytes) + b.offset;
    layout.scratch_bytes += static_cast<uint64_t>(bytes);
    return layout;
}

} // namespace realizar::plugin
