#include "plugins/cpu/ops/attention_token.h"

#include "plugins/cpu/ops/attention_cells.h"
#include "plugins/cpu/ops/rotated_cache.h"

#include <limits>

namespace realizar::cpu {

namespace {

constexpr int64_t kChunk = static_cast<int64_t>(kAttentionChunk);

} // namespace

uint64_t TokenAttention::Buffers::place(std::byte *base, const AttentionShape &shape,
                                        int64_t heads) {
    uint64_t size = 0;
    const auto take = [&](float *&array, int64_t n) {
        array = base ? reinterpret_cast<float *>(base + size) : nullptr;
        size += align_up(static_cast<uint64_t>(n) * sizeof(float));
    };
    const int64_t queries = heads * shape.group;
    take(q, queries * shape.dk);
    take(scores, shape.group * kChunk);
    take(max, queries);
    take(sum, queries);
    take(factors, shape.group);
    take(acc, queries * shape.dv);
    return size;
}

void TokenAttention::begin(const Run &run, const Tile &tile, Buffers &b) const {
    const int64_t queries = tile.heads * shape_.group;
    for (int64_t i = 0; i < queries; ++i) {
        float *q = b.q + i * shape_.dk;
        std::copy_n(views_.q.row(run, tile.token, tile.head * shape_.group + i), shape_.dk, q);
        if (views_.rotated_keys) // instead of rotating all keys back
            rotate_row(q, static_cast<uint64_t>(shape_.dk));
    }
    std::fill_n(b.acc, queries * shape_.dv, 0.0f);
    std::fill_n(b.max, queries, -std::numeric_limits<float>::infinity());
    std::fill_n(b.sum, queries, 0.0f);
}

void TokenAttention::run(const Run &run, const Tile &tile, std::byte *scratch) const {
    Buffers b;
    b.place(scratch, shape_, tile.heads);
    begin(run, tile, b);
    const int64_t sequence = views_.sequences.row<int32_t>(run, 0)[tile.token];
    const int64_t position = views_.positions.row<int32_t>(run, 0)[tile.token];
    const int64_t length = shape_.length(run, views_, sequence);
    const int64_t first = shape_.first(position), last = shape_.last(position, length);
    if (first < last) {
        // Whole chunks, so that parts seldom share a page.
        const int64_t part =
            (last - first + tile.splits * kChunk - 1) / (tile.splits * kChunk) * kChunk;
        const auto bound = [&](int64_t split) {
            return split == 0 ? first : std::min((first / kChunk * kChunk) + split * part, last);
        };
        const int64_t end = tile.split + 1 == tile.splits ? last : bound(tile.split + 1);
        if (bound(tile.split) < end) fold(run, tile, b, sequence, bound(tile.split), end);
    }
    for (int64_t i = 0; i < tile.heads * shape_.group; ++i)
        store_attention(run, shape_, views_, {b.max[i], b.sum[i], b.acc + i * shape_.dv},
                        tile.token, tile.head * shape_.group + i, tile.split, tile.splits);
}

// Folds in positions [low, high): head by head for each chunk, so that memory is read in order. The rows of
// the next chunk are on their way meanwhile.
void TokenAttention::fold(const Run &run, const Tile &tile, Buffers &b, int64_t sequence,
                          int64_t low, int64_t high) const {
    const AttentionCells cells(run, shape_, views_, sequence);
    const int64_t position = views_.positions.row<int32_t>(run, 0)[tile.token];
    const auto dk = static_cast<uint64_t>(shape_.dk), dv = static_cast<uint64_t>(shape_.dv);
    const auto queries = static_cast<uint64_t>(shape_.group);
    const auto row = [&](const View &view, const CellRun &cells_of, int64_t head) {
        return cells_of.count ? view.row<uint8_t>(run, cells_of.cell, head) : nullptr;
    };
    while (low < high) {
        const CellRun now = cells.at(low, std::min(kChunk, high - low));
        if (now.count == 0) {
            low = cells.next_page(low);
            continue;
        }
        const int64_t behind = low + now.count;
        const CellRun next =
            behind < high ? cells.at(behind, std::min(kChunk, high - behind)) : CellRun{};
        const auto count = static_cast<uint64_t>(now.count);
        const auto next_count = static_cast<uint64_t>(next.count);
        for (int64_t h = 0; h < tile.heads; ++h) {
            const int64_t head = tile.head + h, first = h * shape_.group;
            run.kernels->score_keys[k_type_]({
                .q = b.q + first * shape_.dk,
                .k = row(views_.k, now, head),
                .stride = views_.k.step_stride(),
                .scores = b.scores,
                .queries = queries,
                .dk = dk,
                .count = count,
                .next = row(views_.k, next, head),
                .next_count = next_count,
            });
            run.kernels->soften({
                .scores = b.scores,
                .max = b.max + first,
                .sum = b.sum + first,
                .factors = b.factors,
                .queries = queries,
                .count = count,
                .scale = shape_.attr().scale,
                .softcap = shape_.attr().softcap,
                .slopes = slopes_.empty() ? nullptr : slopes_.data() + head * shape_.group,
                .bias_at = low - position,
            });
            run.kernels->add_values[v_type_]({
                .weights = b.scores,
                .factors = b.factors,
                .v = row(views_.v, now, head),
                .stride = views_.v.step_stride(),
                .acc = b.acc + first * shape_.dv,
                .queries = queries,
                .dv = dv,
                .count = count,
                .next = row(views_.v, next, head),
                .next_count = next_count,
            });
        }
        low = behind;
    }
}

} // namespace realizar::cpu
