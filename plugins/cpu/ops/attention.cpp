// ATTENTION by online softmax, direct or with many queries of a key head at once (attention_shape.h). When
// keys are split, a second step merges the parts.
#include "plugins/cpu/ops/attention_cells.h"
#include "plugins/cpu/ops/attention_token.h"
#include "plugins/cpu/ops/op.h"
#include "plugins/cpu/ops/rotated_cache.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace realizar::cpu {

namespace {

using Shape = AttentionShape;
using Views = AttentionViews;

constexpr int64_t kChunk = static_cast<int64_t>(kAttentionChunk);
constexpr float kInf = std::numeric_limits<float>::infinity();

constexpr int64_t lanes_of(int64_t queries) {
    constexpr auto lanes = static_cast<int64_t>(kQueryLanes);
    return (queries + lanes - 1) / lanes * lanes;
}

// A worker's scratch, cut into arrays.
struct Buffers {
    float *q, *q_lanes, *k, *v, *scores, *max, *sum, *factors, *acc, *slopes;
    int64_t *bias_at, *low, *high;
    uint32_t *first, *last;

    // Sets the pointers (base may be null) and returns the bytes.
    uint64_t place(std::byte *base, const Shape &s) {
        uint64_t size = 0;
        const auto take = [&]<class T>(T *&array, int64_t n) {
            array = base ? reinterpret_cast<T *>(base + size) : nullptr;
            size += align_up(static_cast<uint64_t>(n) * sizeof(T));
        };
        const int64_t queries = lanes_of(s.block * s.group);
        take(q, queries * s.dk);
        take(q_lanes, queries * s.dk);
        take(k, kChunk * s.dk);
        take(v, kChunk * s.dv);
        take(scores, queries * kChunk);
        take(max, queries);
        take(sum, queries);
        take(factors, queries);
        take(acc, queries * s.dv);
        take(slopes, queries);
        take(bias_at, queries);
        take(low, queries);
        take(high, queries);
        take(first, queries);
        take(last, queries);
        return size;
    }
};

class AttentionStep : public Step {
  public:
    AttentionStep(const Shape &shape, const Views &views, WeightType k_type, WeightType v_type)
        : shape_(shape), views_(views), k_type_(k_type), v_type_(v_type),
          slopes_(attention_slopes(shape)), token_(shape, views, k_type, v_type) {
        for (const View *view : {&views_.q, &views_.k, &views_.v, &views_.positions,
                                 &views_.sequences, &views_.pages, &views_.lengths})
            reads(*view, false);
        if (views_.has_sinks) reads(views_.sinks, false);
        writes(views_.out, false);
        writes(views_.parts, false);
        worker_bytes =
            std::max(Buffers().place(nullptr, shape_), token_.bytes(shape_.most_set_heads));
    }

    uint64_t tiles(const Run &run) const override {
        return static_cast<uint64_t>(shape_.grid(run, views_).tiles());
    }
    // 60 multiplications or 20 bytes of the cache a nanosecond.
    uint64_t cost(const Run &run) const override {
        const int64_t keys = shape_.longest(run, views_), tokens = views_.q.steps(run);
        const int64_t reads = shape_.grid(run, views_).direct ? tokens : 1;
        return static_cast<uint64_t>(tokens * keys * shape_.heads * (shape_.dk + shape_.dv) / 60 +
                                     reads * keys * shape_.key_heads * (shape_.dk + shape_.dv) /
                                         10);
    }
    void run(const Run &run, uint64_t begin, uint64_t end, unsigned worker) const override {
        std::byte *scratch = run.scratch + worker * run.worker_bytes;
        const AttentionGrid grid = shape_.grid(run, views_);
        for (auto tile = static_cast<int64_t>(begin); tile < static_cast<int64_t>(end); ++tile) {
            if (grid.direct) {
                const int64_t head = tile % grid.sets * grid.set_heads;
                const int64_t split = tile / grid.sets % grid.splits;
                token_.run(run,
                           {tile / grid.sets / grid.splits, head,
                            std::min(grid.set_heads, shape_.key_heads - head), split, grid.splits},
                           scratch);
                continue;
            }
            const int64_t split = tile % grid.splits, head = tile / grid.splits % grid.sets;
            // Later tokens see more keys: neighbours in the grid get blocks of like cost.
            const int64_t token = tile / grid.splits / grid.sets * shape_.block;
            run_block(run, scratch, head, token,
                      std::min(token + shape_.block, views_.q.steps(run)), split, grid.splits);
        }
    }

  private:
    // Tokens of one sequence at a time.
    void run_block(const Run &run, std::byte *scratch, int64_t head, int64_t begin, int64_t end,
                   int64_t split, int64_t splits) const {
        const auto *sequences = views_.sequences.row<int32_t>(run, 0);
        Buffers b;
        b.place(scratch, shape_);
        while (begin < end) {
            int64_t stop = begin + 1;
            while (stop < end && sequences[stop] == sequences[begin])
                ++stop;
            if ((stop - begin) * shape_.group >= kManyQueries) {
                run_tokens(run, b, head, begin, stop, split, splits);
                begin = stop;
            }
            for (; begin < stop; ++begin)
                token_.run(run, {begin, head, 1, split, splits}, scratch);
        }
    }

    void run_tokens(const Run &run, Buffers &b, int64_t head, int64_t begin, int64_t end,
                    int64_t split, int64_t splits) const {
        const int64_t sequence = views_.sequences.row<int32_t>(run, 0)[begin];
        const int64_t length = shape_.length(run, views_, sequence);
        const int64_t part =
            (length + splits * kChunk - 1) / (splits * kChunk) * kChunk; // whole chunks
        const int64_t limit = std::min(length, (split + 1) * part);
        int64_t low = limit, high = 0;
        const auto *positions = views_.positions.row<int32_t>(run, 0);
        for (int64_t t = begin; t < end; ++t)
            for (int64_t g = 0; g < shape_.group; ++g) {
                const int64_t i = (t - begin) * shape_.group + g;
                const float *q = views_.q.row(run, t, head * shape_.group + g);
                std::copy_n(q, shape_.dk, b.q + i * shape_.dk);
                if (views_.rotated_keys) // instead of rotating all keys back
                    rotate_row(b.q + i * shape_.dk, static_cast<uint64_t>(shape_.dk));
                std::fill_n(b.acc + i * shape_.dv, shape_.dv, 0.0f);
                b.max[i] = -kInf;
                b.sum[i] = 0.0f;
                b.low[i] = std::max(shape_.first(positions[t]), split * part);
                b.high[i] = std::min(shape_.last(positions[t], length), limit);
                if (!slopes_.empty())
                    b.slopes[i] = slopes_[static_cast<size_t>(head * shape_.group + g)];
                if (b.low[i] >= b.high[i]) continue;
                low = std::min(low, b.low[i]);
                high = std::max(high, b.high[i]);
            }
        const int64_t queries = (end - begin) * shape_.group;
        transpose(b, queries);
        while (low < high)
            low = run_chunk(run, b, head, sequence, begin, end, low, high);
        for (int64_t t = begin; t < end; ++t)
            for (int64_t g = 0; g < shape_.group; ++g) {
                const int64_t i = (t - begin) * shape_.group + g;
                store_attention(run, shape_, views_, {b.max[i], b.sum[i], b.acc + i * shape_.dv}, t,
                                head * shape_.group + g, split, splits);
            }
    }

    // Lanes behind the last query see nothing.
    void transpose(Buffers &b, int64_t queries) const {
        const int64_t lanes = lanes_of(queries);
        for (int64_t i = queries; i < lanes; ++i) {
            std::fill_n(b.q + i * shape_.dk, shape_.dk, 0.0f);
            b.max[i] = -kInf;
            b.sum[i] = 0.0f;
            b.first[i] = b.last[i] = 0;
            b.bias_at[i] = 0;
            b.slopes[i] = 0.0f;
        }
        for (int64_t d = 0; d < shape_.dk; ++d)
            for (int64_t i = 0; i < lanes; ++i)
                b.q_lanes[d * lanes + i] = b.q[i * shape_.dk + d];
    }

    // Folds in the keys from position `low` on, at most a chunk and up to a gap in the pages.
    // Returns the first position that is left.
    int64_t run_chunk(const Run &run, Buffers &b, int64_t head, int64_t sequence, int64_t begin,
                      int64_t end, int64_t low, int64_t high) const {
        const AttentionCells cells(run, shape_, views_, sequence);
        int64_t n = 0;
        while (n < kChunk && low + n < high) { // a run of cells of one page at a time
            const CellRun some = cells.at(low + n, std::min(kChunk - n, high - low - n));
            if (some.count == 0) break;
            stage(run, b, head, some, n);
            n += some.count;
        }
        if (n == 0) return cells.next_page(low);
        const auto *positions = views_.positions.row<int32_t>(run, 0);
        const int64_t queries = (end - begin) * shape_.group;
        for (int64_t i = 0; i < queries; ++i) {
            b.first[i] = static_cast<uint32_t>(std::clamp<int64_t>(b.low[i] - low, 0, n));
            b.last[i] = static_cast<uint32_t>(std::clamp<int64_t>(b.high[i] - low, 0, n));
            b.bias_at[i] = low - positions[begin + i / shape_.group];
        }
        run.kernels->attention({
            .q = b.q_lanes,
            .k = b.k,
            .v = b.v,
            .scores = b.scores,
            .max = b.max,
            .sum = b.sum,
            .acc = b.acc,
            .factors = b.factors,
            .queries = static_cast<uint64_t>(queries),
            .lanes = static_cast<uint64_t>(lanes_of(queries)),
            .dk = static_cast<uint64_t>(shape_.dk),
            .dv = static_cast<uint64_t>(shape_.dv),
            .count = static_cast<uint64_t>(n),
            .scale = shape_.attr().scale,
            .softcap = shape_.attr().softcap,
            .slopes = slopes_.empty() ? nullptr : b.slopes,
            .bias_at = b.bias_at,
            .first = b.first,
            .last = b.last,
        });
        return low + n;
    }

    // Keys and values of some cells as floats, from key n of the chunk on.
    void stage(const Run &run, Buffers &b, int64_t head, const CellRun &cells, int64_t n) const {
        const auto *k = views_.k.row<uint8_t>(run, cells.cell, head);
        const auto *v = views_.v.row<uint8_t>(run, cells.cell, head);
        for (const int64_t end = n + cells.count; n < end; ++n) {
            run.kernels->decode[k_type_](k, b.k + n * shape_.dk, static_cast<uint64_t>(shape_.dk));
            run.kernels->decode[v_type_](v, b.v + n * shape_.dv, static_cast<uint64_t>(shape_.dv));
            k += views_.k.step_stride();
            v += views_.v.step_stride();
        }
    }

    Shape shape_;
    Views views_;
    WeightType k_type_, v_type_;
    std::vector<float> slopes_;
    TokenAttention token_; // for few queries
};

// Joins the parts of each query; nothing to do when the keys were not split.
class MergeStep : public RowStep {
  public:
    MergeStep(const Shape &shape, const Views &views)
        : RowStep(views.out, 500), shape_(shape), views_(views) {
        reads(views_.parts, false);
        reads(views_.lengths, false);
        if (views_.has_sinks) reads(views_.sinks, false);
        writes(views_.out);
    }
    uint64_t cost(const Run &run) const override {
        const int64_t splits = shape_.grid(run, views_).splits;
        return splits == 1 ? 0 : RowStep::cost(run) * static_cast<uint64_t>(splits) / 4;
    }
    void run(const Run &run, uint64_t begin, uint64_t end, unsigned worker) const override {
        if (shape_.grid(run, views_).splits > 1) RowStep::run(run, begin, end, worker);
    }

  private:
    void run_row(const Run &run, int64_t step, int64_t row, unsigned) const override {
        const int64_t splits = shape_.grid(run, views_).splits;
        float top = -kInf, sum = 0.0f;
        for (int64_t s = 0; s < splits; ++s)
            top = std::max(top, shape_.part(run, views_, s, step, row)[0]);
        float *out = views_.out.row(run, step, row);
        std::fill_n(out, shape_.dv, 0.0f);
        for (int64_t s = 0; s < splits; ++s) {
            const float *part = shape_.part(run, views_, s, step, row);
            const float factor = part[0] == -kInf ? 0.0f : std::exp(part[0] - top);
            sum += part[1] * factor;
            for (int64_t i = 0; i < shape_.dv; ++i)
                out[i] += part[2 + i] * factor;
        }
        finish_attention(run, shape_, views_, {top, sum, out}, step, row);
    }

    Shape shape_;
    Views views_;
};

void plan(Planner &planner, const Node &node) {
    const Shape shape(planner, node);
    Views v;
    View *const inputs[] = {&v.q,         &v.k,     &v.v,       &v.positions,
                            &v.sequences, &v.pages, &v.lengths, &v.sinks};
    for (size_t i = 0; i < std::size(inputs); ++i)
        if (planner.region().has_input(node, i)) *inputs[i] = planner.view(node.inputs[i]);
    v.has_sinks = planner.region().has_input(node, 7);
    v.rotated_keys = planner.region().input(node, 1).dtype == RZ_DTYPE_Q4_0;
    v.rotated_values = planner.region().input(node, 2).dtype == RZ_DTYPE_Q4_0;
    v.out = planner.view(node.outputs[0]);
    v.parts = planner.view(planner.scratch(1, shape.parts_bytes()));
    planner.add(std::make_unique<AttentionStep>(
        shape, v, weight_type(planner.region().input(node, 1).dtype),
        weight_type(planner.region().input(node, 2).dtype)));
    if (planner.threads() > 1) planner.add(std::make_unique<MergeStep>(shape, v));
}

} // namespace

const Op kAttention = {RZ_OP_ATTENTION, false, plan};

} // namespace realizar::cpu
