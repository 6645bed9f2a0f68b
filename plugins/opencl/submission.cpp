#include "plugins/opencl/submission.h"

#include <algorithm>
#include <cstring>

namespace realizar::opencl {

namespace {

rz_code check_symbols(const Region &region, const rz_submit &s, rz_error *err) {
    if (s.symbol_count != region.symbols.size() || (s.symbol_count && !s.symbols))
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: expected %zu symbols, found %u",
                    region.symbols.size(), s.symbol_count);
    for (uint32_t i = 0; i < s.symbol_count; ++i) {
        const plugin::Symbol &symbol = region.symbols[i];
        if (s.symbols[i] < symbol.min || s.symbols[i] > symbol.max)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "submit: symbol %u: expected %lld..%lld, found %lld", i,
                        static_cast<long long>(symbol.min), static_cast<long long>(symbol.max),
                        static_cast<long long>(s.symbols[i]));
    }
    return RZ_OK;
}

// A range of a tensor at this submission's sizes.
rz_code check_piece(const rz_program &program, const int64_t *symbols, const Submission::Piece &p,
                    bool read, rz_error *err) {
    const char *what = read ? "read" : "updated";
    const Region &region = program.region;
    bool known = p.tensor < program.tensor_count && !region.tensors[p.tensor].is_view(p.tensor);
    if (known && read)
        known = std::find(region.outputs.begin(), region.outputs.end(), p.tensor) !=
                region.outputs.end();
    else if (known)
        known = region.tensors[p.tensor].role == RZ_ROLE_INPUT;
    if (!known)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: tensor %u cannot be %s", p.tensor,
                    what);
    const Tensor &t = region.tensors[p.tensor];
    const auto size = static_cast<uint64_t>(t.extent(t.dim0(symbols)));
    if (p.offset > size || p.size > size - p.offset)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                    "submit: %s has %llu bytes, %llu at %llu cannot be %s", t.name.c_str(),
                    wide(size), wide(p.size), wide(p.offset), what);
    return RZ_OK;
}

template <class T, class Add>
rz_code read_pieces(const rz_program &program, const rz_submit &s, const T *array, uint32_t count,
                    uint32_t stride, bool read, Add add, rz_error *err) {
    if (count && (!array || stride < sizeof(T)))
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: the array of %s is wrong",
                    read ? "reads" : "updates");
    for (uint32_t i = 0; i < count; ++i) {
        const T &in = element(array, stride, i);
        rz_code code = check_struct(&in, sizeof(T), 0, read ? "rz_read" : "rz_update", err);
        if (code != RZ_OK) return code;
        const Submission::Piece piece = {in.tensor, in.offset, in.size, 0, nullptr};
        if (in.size && !in.data)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: data of tensor %u is NULL",
                        in.tensor);
        code = check_piece(program, s.symbols, piece, read, err);
        if (code != RZ_OK) return code;
        if (in.size) add(piece, in.data);
    }
    return RZ_OK;
}

rz_code read_points(const rz_point *points, uint32_t count, bool must_rise,
                    std::vector<rz_point> &out, rz_error *err) {
    if (count && !points)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: an array of points is NULL");
    out.assign(points, points + count);
    for (const rz_point &p : out) {
        if (!p.timeline)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: a timeline is NULL");
        if (must_rise && p.value <= p.timeline->value)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "submit: expected a signal above %llu, found %llu", wide(p.timeline->value),
                        wide(p.value));
    }
    return RZ_OK;
}

} // namespace

rz_code read_submit(const rz_submit &s, Submission &out, rz_error *err) {
    rz_code code = check_struct(&s, sizeof(rz_submit), 0, "rz_submit", err);
    if (code != RZ_OK) return code;
    if (!s.instance) return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: the instance is NULL");
    const rz_program &program = s.instance->program;
    const Region &region = program.region;
    out.instance = s.instance;
    code = check_symbols(region, s, err);
    if (code != RZ_OK) return code;
    out.symbols.assign(s.symbols, s.symbols + s.symbol_count);
    for (uint32_t i = 0; i < program.tensor_count; ++i)
        if (region.tensors[i].role == RZ_ROLE_STATE && !region.tensors[i].is_view(i) &&
            !s.instance->is_bound(i))
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: state %s is not bound",
                        region.tensors[i].name.c_str());
    out.updates.clear();
    out.reads.clear();
    out.bytes.clear();
    const auto add_update = [&](Submission::Piece piece, const void *data) {
        piece.staged = out.bytes.size();
        const auto *bytes = static_cast<const std::byte *>(data);
        out.bytes.insert(out.bytes.end(), bytes, bytes + piece.size);
        out.updates.push_back(piece);
    };
    const auto add_read = [&](Submission::Piece piece, void *data) {
        piece.to = data;
        out.reads.push_back(piece);
    };
    code =
        read_pieces(program, s, s.updates, s.update_count, s.update_stride, false, add_update, err);
    if (code == RZ_OK)
        code = read_pieces(program, s, s.reads, s.read_count, s.read_stride, true, add_read, err);
    if (code == RZ_OK) code = read_points(s.waits, s.wait_count, false, out.waits, err);
    if (code == RZ_OK) code = read_points(s.signals, s.signal_count, true, out.signals, err);
    return code;
}

} // namespace realizar::opencl
