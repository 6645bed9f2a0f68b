#include "core/reference/ref_cache.h"
#include "core/reference/ref_ops.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

namespace realizar {

void ref_kv_write(RefCall &call) {
    RefTensor &cache = call.out();
    const RefTensor &rows = call.in(1);
    const std::vector<int64_t> cells = ref_integers(call.in(2));
    const int64_t heads = cache.dim(1);
    std::vector<double> scratch, rotated;
    for (size_t t = 0; t < cells.size(); ++t) {
        if (cells[t] < 0 || cells[t] >= cache.dim(0)) continue;
        for (int64_t h = 0; h < heads; ++h) {
            const int64_t at = cells[t] * heads + h;
            const auto row = rows.row(static_cast<int64_t>(t) * heads + h, scratch);
            if (cache.dtype() != RZ_DTYPE_Q4_0) {
                cache.set_row(at, row);
                continue;
            }
            rotated.assign(row.begin(), row.end());
            ref_rotate(rotated);
            cache.set_row_bytes(at, ref_encode_rotated(rotated));
        }
    }
}

namespace {

// Which cell holds key position p of a sequence.
class PageTable {
  public:
    PageTable(const RefTensor &pages, uint32_t page_size, int64_t cells)
        : pages_(ref_integers(pages)), sequences_(pages.dim(0)), per_sequence_(pages.dim(1)),
          page_size_(page_size), cells_(cells) {}

    int64_t sequences() const { return sequences_; }
    // Position p lies within the table.
    bool holds(int64_t p) const { return p / page_size_ < per_sequence_; }
    // -1: not mapped, or mapped outside the cache.
    int64_t cell(int64_t sequence, int64_t p) const {
        const int64_t page = pages_[static_cast<size_t>(sequence * per_sequence_ + p / page_size_)];
        if (page < 0 || page > cells_ / page_size_) return -1;
        const int64_t at = page * page_size_ + p % page_size_;
        return at < cells_ ? at : -1;
    }

  private:
    std::vector<int64_t> pages_;
    int64_t sequences_, per_sequence_, page_size_, cells_;
};

// arXiv:2108.12409, generalised to head counts that are no power of two.
double alibi_slope(double max_bias, int64_t head, int64_t heads) {
    const auto n = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(heads)));
    const auto count = static_cast<double>(n);
    if (head < n) return std::exp2(-max_bias * static_cast<double>(head + 1) / count);
    return std::exp2(-max_bias / 2 * static_cast<double>(2 * (head - n) + 1) / count);
}

struct Visible {
    int64_t p, cell;
};

std::vector<Visible> visible_keys(const rz_attr_attention &attr, const PageTable &pages,
                                  int64_t sequence, int64_t length, int64_t position) {
    std::vector<Visible> out;
    if (sequence < 0 || sequence >= pages.sequences()) return out;
    for (int64_t p = 0; p < length && pages.holds(p); ++p) {
        if (attr.causal != 0 && p > position) break;
        if (attr.window > 0 && position - p >= attr.window) continue;
        const int64_t cell = pages.cell(sequence, p);
        if (cell >= 0) out.push_back({p, cell});
    }
    return out;
}

// Softmax over the scores and, if there is one, a sink whose value is zero.
void softmax(std::vector<double> &scores, const double *sink) {
    double largest = std::ranges::max(scores);
    if (sink != nullptr) largest = std::max(largest, *sink);
    double sum = sink != nullptr ? std::exp(*sink - largest) : 0;
    for (double &score : scores)
        sum += score = std::exp(score - largest);
    for (double &score : scores)
        score /= sum;
}

} // namespace

void ref_attention(RefCall &call) {
    const auto attr = call.attributes<rz_attr_attention>();
    const RefTensor &q = call.in(0), &k = call.in(1), &v = call.in(2);
    const std::vector<int64_t> positions = ref_integers(call.in(3));
    const std::vector<int64_t> sequences = ref_integers(call.in(4));
    const PageTable pages(call.in(5), attr.page_size, k.dim(0));
    const std::vector<int64_t> lengths = ref_integers(call.in(6));
    RefRows keys(k), values(v);
    std::vector<double> q_scratch, sink_scratch, scores, out;
    const std::span<const double> sinks =
        call.has(7) ? call.in(7).row(0, sink_scratch) : std::span<const double>();

    const int64_t heads = q.dim(1), kv_heads = k.dim(1), group = heads / kv_heads;
    for (int64_t r = 0; r < q.rows(); ++r) {
        const auto t = static_cast<size_t>(r / heads);
        const int64_t head = r % heads, sequence = sequences[t], position = positions[t];
        const bool known = sequence >= 0 && sequence < pages.sequences();
        const std::vector<Visible> visible = visible_keys(
            attr, pages, sequence, known ? lengths[static_cast<size_t>(sequence)] : 0, position);
        const std::span<const double> plain = q.row(r, q_scratch);
        std::vector<double> query(plain.begin(), plain.end());
        if (k.dtype() == RZ_DTYPE_Q4_0) ref_rotate(query);
        scores.clear();
        for (const auto &[p, cell] : visible) {
            const std::span<const double> key = keys[cell * kv_heads + head / group];
            double score =
                attr.scale * std::inner_product(query.begin(), query.end(), key.begin(), 0.0);
            if (attr.softcap > 0) score = attr.softcap * std::tanh(score / attr.softcap);
            if (attr.alibi_max_bias > 0)
                score += alibi_slope(attr.alibi_max_bias, head, heads) *
                         static_cast<double>(p - position);
            scores.push_back(score);
        }
        out.assign(static_cast<size_t>(v.inner()), 0.0);
        if (!scores.empty())
            softmax(scores, sinks.empty() ? nullptr : &sinks[static_cast<size_t>(head)]);
        for (size_t i = 0; i < visible.size(); ++i) {
            const std::span<const double> value = values[visible[i].cell * kv_heads + head / group];
            for (size_t d = 0; d < out.size(); ++d)
                out[d] += scores[i] * value[d];
        }
        if (v.dtype() == RZ_DTYPE_Q4_0) ref_rotate(out);
        call.out().set_row(r, out);
    }
}

} // namespace realizar
