// ATTENTION by online softmax. A tile is a key head and a block of tokens, so the query heads of a
// group share the conversion of their keys and values to floats. When there are few such tiles (one
// token, few key heads) the keys are split too, and a second step merges the parts.
#include "plugins/cpu/ops/attention_shape.h"
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

// Divides by the sum of the softmax, which the sink is part of.
void finish(const float *acc, float max, float sum, const float *sink, float *out, int64_t n) {
    float factor = 0.0f;
    if (sink && max != -kInf) {
        const float top = std::max(max, *sink);
        const float scale = std::exp(max - top);
        factor = scale / (sum * scale + std::exp(*sink - top));
    } else if (sum != 0.0f) {
        factor = 1.0f / sum;
    }
    for (int64_t i = 0; i < n; ++i)
        out[i] = acc[i] * factor;
}

// From so many queries on, vectors have queries as lanes.
constexpr int64_t kManyQueries = 6;

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
        : shape_(shape), views_(views), k_type_(k_type), v_type_(v_type), slopes_(slopes(shape)) {
        for (const View *view : {&views_.q, &views_.k, &views_.v, &views_.positions,
                                 &views_.sequences, &views_.pages, &views_.lengths})
            reads(*view, false);
        if (views_.has_sinks) reads(views_.sinks, false);
        writes(views_.out, false);
        writes(views_.parts, false);
        worker_bytes = Buffers().place(nullptr, shape_);
    }

    uint64_t tiles(const Run &run) const override {
        return static_cast<uint64_t>(shape_.key_heads * shape_.blocks(run, views_) *
                                     shape_.splits(run, views_));
    }
    uint64_t cost(const Run &run) const override {
        const int64_t keys = shape_.longest(run, views_);
        const int64_t tokens = views_.q.steps(run);
        return static_cast<uint64_t>(tokens * keys * shape_.heads * (shape_.dk + shape_.dv) / 20 +
                                     keys * shape_.key_heads * (shape_.dk + shape_.dv) / 10);
    }
    void run(const Run &run, uint64_t begin, uint64_t end, unsigned worker) const override {
        Buffers b;
        b.place(run.scratch + worker * run.worker_bytes, shape_);
        const int64_t splits = shape_.splits(run, views_), blocks = shape_.blocks(run, views_);
        for (auto tile = static_cast<int64_t>(begin); tile < static_cast<int64_t>(end); ++tile) {
            const int64_t split = tile % splits;
            const int64_t head = tile / splits % shape_.key_heads;
            // Later tokens see more keys: neighbours in the grid get blocks of like cost.
            const int64_t token = tile / splits / shape_.key_heads % blocks * shape_.block;
            run_block(run, b, head, token, std::min(token + shape_.block, views_.q.steps(run)),
                      split, splits);
        }
    }

  private:
    static std::vector<float> slopes(const Shape &s) {
        std::vector<float> result;
        const double bias = s.attr().alibi_max_bias;
        if (!(bias > 0)) return result;
        int64_t n = 1;
        while (2 * n <= s.heads)
            n *= 2;
        for (int64_t h = 0; h < s.heads; ++h) {
            const auto at = static_cast<double>(h < n ? h + 1 : 2 * (h - n) + 1);
            const double rate = h < n ? bias : bias / 2;
            result.push_back(static_cast<float>(std::exp2(-rate * at / static_cast<double>(n))));
        }
        return result;
    }

    // Tokens of one sequence at a time.
    void run_block(const Run &run, Buffers &b, int64_t head, int64_t begin, int64_t end,
                   int64_t split, int64_t splits) const {
        const auto *sequences = views_.sequences.row<int32_t>(run, 0);
        while (begin < end) {
            int64_t stop = begin + 1;
            while (stop < end && sequences[stop] == sequences[begin])
                ++stop;
            run_tokens(run, b, head, begin, stop, split, splits);
            begin = stop;
        }
    }

    void run_tokens(const Run &run, Buffers &b, int64_t head, int64_t begin, int64_t end,
                    int64_t split, int64_t splits) const {
        const int64_t sequence = views_.sequences.row<int32_t>(run, 0)[begin];
        const bool known = sequence >= 0 && sequence < shape_.sequences(run, views_);
        const int64_t length = known ? shape_.length(run, views_, sequence) : 0;
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
                if (k_type_ == kQ4_0) // instead of rotating all keys back
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
        if (queries >= kManyQueries) transpose(b, queries);
        while (low < high)
            low = run_chunk(run, b, head, sequence, begin, end, low, high);
        for (int64_t t = begin; t < end; ++t)
            for (int64_t g = 0; g < shape_.group; ++g)
                store(run, b, (t - begin) * shape_.group + g, t, head * shape_.group + g, split,
                      splits);
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
        const int64_t page_size = shape_.attr().page_size;
        const auto *pages = views_.pages.row<int32_t>(run, sequence);
        const int64_t cells = std::min(views_.k.steps(run), views_.v.steps(run));
        int64_t n = 0;
        while (n < kChunk && low + n < high) { // a run of cells of one page at a time
            const int64_t page = pages[(low + n) / page_size], at = (low + n) % page_size;
            const int64_t cell = page * page_size + at;
            const int64_t count =
                std::min({page_size - at, kChunk - n, high - low - n, cells - cell});
            if (page < 0 || count <= 0) break;
            const auto *k = views_.k.row<uint8_t>(run, cell, head);
            const auto *v = views_.v.row<uint8_t>(run, cell, head);
            for (const int64_t end_of_run = n + count; n < end_of_run; ++n) {
                run.kernels->decode[k_type_](k, b.k + n * shape_.dk,
                                             static_cast<uint64_t>(shape_.dk));
                run.kernels->decode[v_type_](v, b.v + n * shape_.dv,
                                             static_cast<uint64_t>(shape_.dv));
                k += views_.k.step_stride();
                v += views_.v.step_stride();
            }
            if (at + count < page_size) break; // the chunk or the cells end here
        }
        if (n == 0) return (low / page_size + 1) * page_size;
        const auto *positions = views_.positions.row<int32_t>(run, 0);
        const int64_t queries = (end - begin) * shape_.group;
        for (int64_t i = 0; i < queries; ++i) {
            b.first[i] = static_cast<uint32_t>(std::clamp<int64_t>(b.low[i] - low, 0, n));
            b.last[i] = static_cast<uint32_t>(std::clamp<int64_t>(b.high[i] - low, 0, n));
            b.bias_at[i] = low - positions[begin + i / shape_.group];
        }
        run.kernels->attention({
            .q = b.q,
            .k = b.k,
            .v = b.v,
            .scores = b.scores,
            .max = b.max,
            .sum = b.sum,
            .acc = b.acc,
            .q_lanes = queries >= kManyQueries ? b.q_lanes : nullptr,
            .lanes = static_cast<uint64_t>(lanes_of(queries)),
            .factors = b.factors,
            .queries = static_cast<uint64_t>(queries),
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

    void store(const Run &run, const Buffers &b, int64_t i, int64_t token, int64_t head,
               int64_t split, int64_t splits) const {
        const float *acc = b.acc + i * shape_.dv;
        if (splits == 1) {
            const float *sink = views_.has_sinks ? views_.sinks.row(run, 0) + head : nullptr;
            float *out = views_.out.row(run, token, head);
            finish(acc, b.max[i], b.sum[i], sink, out, shape_.dv);
            if (views_.rotated_values) rotate_row(out, static_cast<uint64_t>(shape_.dv));
            return;
        }
        float *part =
            views_.parts.row(run, 0) +
            ((split * views_.q.steps(run) + token) * shape_.heads + head) * shape_.part_floats();
        part[0] = b.max[i];
        part[1] = b.sum[i];
        std::copy_n(acc, shape_.dv, part + 2);
    }

    Shape shape_;
    Views views_;
    WeightType k_type_, v_type_;
    std::vector<float> slopes_;
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
        const int64_t splits = shape_.splits(run, views_);
        return splits == 1 ? 0 : RowStep::cost(run) * static_cast<uint64_t>(splits);
    }

  private:
    void run_row(const Run &run, int64_t step, int64_t row, unsigned) const override {
        const int64_t splits = shape_.splits(run, views_);
        if (splits == 1) return;
        const int64_t stride = views_.q.steps(run) * shape_.heads * shape_.part_floats();
        const float *parts =
            views_.parts.row(run, 0) + (step * shape_.heads + row) * shape_.part_floats();
        float top = -kInf, sum = 0.0f;
        for (int64_t s = 0; s < splits; ++s)
            top = std::max(top, parts[s * stride]);
        float *out = views_.out.row(run, step, row);
        std::fill_n(out, shape_.dv, 0.0f);
        for (int64_t s = 0; s < splits; ++s) {
            const float *part = parts + s * stride;
            const float factor = part[0] == -kInf ? 0.0f : std::exp(part[0] - top);
            sum += part[1] * factor;
            for (int64_t i = 0; i < shape_.dv; ++i)
                out[i] += part[2 + i] * factor;
        }
        const float *sink = views_.has_sinks ? views_.sinks.row(run, 0) + row : nullptr;
        finish(out, top, sum, sink, out, shape_.dv);
        if (views_.rotated_values) rotate_row(out, static_cast<uint64_t>(shape_.dv));
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
