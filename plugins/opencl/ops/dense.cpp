#include "plugins/opencl/ops/dense.h"

#include "plugins/opencl/clblast/choices.h"

#include <algorithm>
#include <bit>

namespace realizar::opencl {

namespace {

// What is measured at all: below, launches and copies of the library outweigh the product.
constexpr uint32_t kLeastRows = 32;
constexpr uint64_t kLeastWeights = uint64_t{1} << 20; // n * k

// Rows of x at a time, which bounds the room.
constexpr uint32_t kRowsAtOnce = 512;
// The library pads copies of its operands to whole tiles, which are at most this in each direction.
constexpr uint64_t kPadding = 256;

// Upper bound of what CLBlast keeps beside the operands.
uint64_t room_for(uint64_t rows, uint64_t n, uint64_t k) {
    rows = align_up(rows, kPadding);
    n = align_up(n, kPadding);
    k = align_up(k, kPadding);
    return (rows * k + n * k + rows * n) * sizeof(float);
}

// Kernels of the library count elements in 32 bits with a sign.
bool counts(uint64_t at, uint64_t rows, uint64_t stride) {
    return at % sizeof(float) == 0 && at / sizeof(float) + rows * stride < (uint64_t{1} << 31);
}

bool is_float(const Matrix &w) { return !w.type && w.view.dtype() == RZ_DTYPE_F32; }

// Products with so many rows have one choice.
uint32_t bucket_of(uint32_t rows) { return std::min(std::bit_floor(rows), kRowsAtOnce); }

} // namespace

std::optional<Dense> Dense::plan(Planner &planner, const View &x,
                                 std::span<const MatmulOperands> parts) {
    const Features &features = planner.features();
    const uint32_t k = x.max_inner(), rows = x.max_rows();
    uint64_t n = 0;
    for (const MatmulOperands &o : parts)
        n = std::max<uint64_t>(n, o.y.max_inner());
    const bool large = rows >= kLeastRows && n * k >= kLeastWeights;
    Dense dense(x);
    if (features.products == Products::own || rows <= kMatvecRows || n == 0 || k == 0 ||
        (features.products == Products::measured && !large) || !x.uniform(dense.x_stride_) ||
        dense.x_stride_ < k)
        return std::nullopt;
    const uint64_t most = features.slice_bytes / sizeof(float) / k;
    dense.slice_ = static_cast<uint32_t>(
        std::min(n, std::max(most / kPadding * kPadding, uint64_t{kPadding})));
    if (!is_float(parts[0].w))
        dense.floats_ = planner.scratch(uint64_t{dense.slice_} * k * sizeof(float));
    dense.room_bytes_ = room_for(std::min(rows, kRowsAtOnce), dense.slice_, k);
    planner.need_room(dense.room_bytes_);
    return dense;
}

void Dense::add_touches(std::vector<View> &touches) const {
    if (floats_) touches.push_back(*floats_);
}

bool Dense::launch(Recorder &r, const MatmulOperands &o, const Own &own) const {
    if (x_.rows(r.symbols) <= kMatvecRows || !fits(r, o)) return false;
    if (r.features().products == Products::measured && !wins(r, o, own)) return false;
    record(r, o, o.y.max_inner());
    return true;
}

bool Dense::wins(Recorder &r, const MatmulOperands &o, const Own &own) const {
    const uint32_t rows = x_.rows(r.symbols), n = o.y.max_inner();
    const uint64_t k = x_.max_inner();
    if (rows < kLeastRows || n * k < kLeastWeights) return false;
    const std::string name = o.w.option() + ' ' + std::to_string(n) + ' ' + std::to_string(k) +
                             ' ' + std::to_string(bucket_of(rows));
    Choices &choices = r.gpu().choices();
    if (const auto known = choices.find(name)) return known->clblast_wins();
    if (r.dry()) return false;
    // As much of the product as takes a few ms, so that slow devices need not make all of it.
    constexpr uint64_t kWork = uint64_t{1} << 27, kEnoughNs = 2'000'000;
    auto part = static_cast<uint32_t>(
        std::clamp<uint64_t>(kWork / (rows * k), std::min(n, uint32_t{kPadding}), n));
    Times times = {};
    for (;;) {
        times.own = r.time([&](Recorder &inner) { own(inner, part); });
        if (times.own >= kEnoughNs || part == n) break;
        part = part > n / 4 ? n : part * 4;
    }
    try {
        times.clblast = r.time([&](Recorder &inner) { record(inner, o, part); });
    } catch (const Failure &failure) { // of the library: own kernels go on
        times.clblast = UINT64_MAX;
        r.gpu().host().log(r.gpu().host().self, RZ_LOG_WARNING,
                           ("opencl: " + failure.message).c_str());
    }
    choices.keep(name, times);
    return times.clblast_wins();
}

// Whether offsets and room are within what was planned and what the library can count.
bool Dense::fits(const Recorder &r, const MatmulOperands &o) const {
    const uint64_t rows = x_.rows(r.symbols), n = o.y.max_inner(), k = x_.max_inner();
    if (!counts(r.at(x_), rows, x_stride_) || !counts(r.at(o.y), rows, n)) return false;
    if (!floats_ && (!is_float(o.w) || o.w.view.stride(2) < k ||
                     !counts(r.at(o.w.view), n, o.w.view.stride(2))))
        return false;
    if (floats_ && !counts(r.at(*floats_), slice_, k)) return false;
    Sgemm p = product(r, o, 0, std::min<uint32_t>(slice_, o.y.max_inner()));
    p.rows = std::min<uint64_t>(rows, kRowsAtOnce);
    return r.gpu().clblast()->room_bytes(p, r.gpu().queue()) <= room_bytes_;
}

Sgemm Dense::product(const Recorder &r, const MatmulOperands &o, uint32_t first,
                     uint32_t count) const {
    Sgemm p = {};
    p.n = count;
    p.k = x_.max_inner();
    p.x = r.buffer(x_);
    p.w = r.buffer(floats_ ? *floats_ : o.w.view);
    p.y = r.buffer(o.y);
    p.room = r.room();
    p.x_at = r.at(x_) / sizeof(float);
    p.x_stride = x_stride_;
    p.w_at = r.at(floats_ ? *floats_ : o.w.view) / sizeof(float);
    p.w_stride = floats_ ? p.k : o.w.view.stride(2);
    if (!floats_) p.w_at += first * p.w_stride;
    p.y_at = r.at(o.y) / sizeof(float) + first;
    p.y_stride = o.y.max_inner();
    return p;
}

// Rows of the matrix from `first` on, as floats.
void Dense::decode(Recorder &r, const MatmulOperands &o, uint32_t first, uint32_t count) const {
    const uint32_t k = x_.max_inner();
    const DecodeParams p = {o.w.planes(r), r.at(*floats_), k, first, count, 0};
    r.launch("float_weights", o.w.option(), p, {o.w.buffer(r), r.buffer(*floats_)},
             {groups_for((k + 7) / 8, 256), groups_for(count, 1)});
}

void Dense::record(Recorder &r, const MatmulOperands &o, uint32_t n) const {
    const uint32_t rows = x_.rows(r.symbols), width = o.y.max_inner();
    const Clblast &library = *r.gpu().clblast();
    for (uint32_t first = 0; first < n; first += slice_) {
        const uint32_t count = std::min(slice_, n - first);
        if (floats_) decode(r, o, first, count);
        Sgemm p = product(r, o, first, count);
        for (uint32_t row = 0; row < rows; row += kRowsAtOnce) {
            p.rows = std::min(kRowsAtOnce, rows - row);
            r.call("clblast", [p, &library](cl_command_queue queue, cl_event *event) {
                library.queue(p, queue, event);
            });
            p.x_at += p.rows * p.x_stride;
            p.y_at += p.rows * p.y_stride;
        }
    }
    if (!o.add) return;
    const Rows y = {r.at(o.y), width, 0, 0, 0}, add = {r.at(*o.add), o.add_stride, 0, 0, 0};
    const ElementwiseParams p = {y, add, r.at(o.y), 1, 1, width, rows * width, 0, 0, 0, 0};
    r.launch("elementwise", "", p, {r.buffer(o.y), r.buffer(*o.add), r.buffer(o.y)},
             {groups_for(uint64_t{rows} * width, 256)});
}

} // namespace realizar::opencl
