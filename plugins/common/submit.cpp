#include "plugins/common/submit.h"

#include <algorithm>

namespace realizar::plugin {

namespace {

unsigned long long wide(uint64_t n) { return n; }

rz_code check_symbols(const Region &region, const rz_submit &s, rz_error *err) {
    if (s.symbol_count != region.symbols.size() || (s.symbol_count && !s.symbols))
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: expected %zu symbols, found %u",
                    region.symbols.size(), s.symbol_count);
    for (uint32_t i = 0; i < s.symbol_count; ++i) {
        const Symbol &symbol = region.symbols[i];
        if (s.symbols[i] < symbol.min || s.symbols[i] > symbol.max)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "submit: symbol %u: expected %lld..%lld, found %lld", i,
                        static_cast<long long>(symbol.min), static_cast<long long>(symbol.max),
                        static_cast<long long>(s.symbols[i]));
    }
    return RZ_OK;
}

rz_code check_bindings(const SubmitTarget &target, rz_error *err) {
    for (uint32_t i = 0; i < target.tensor_count; ++i) {
        const Tensor &t = target.region.tensors[i];
        if (t.role == RZ_ROLE_STATE && !t.is_view(i) && !target.is_bound(i))
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: state %s is not bound",
                        t.name.c_str());
    }
    return RZ_OK;
}

// A range of a tensor at this submission's sizes.
template <class T>
rz_code check_piece(const SubmitTarget &target, const int64_t *symbols, const T &p, bool read,
                    rz_error *err) {
    const char *what = read ? "read" : "updated";
    const Region &region = target.region;
    bool known = p.tensor < target.tensor_count && !region.tensors[p.tensor].is_view(p.tensor);
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

template <class T>
rz_code check_pieces(const SubmitTarget &target, const int64_t *symbols, const T *array,
                     uint32_t count, uint32_t stride, bool read, rz_error *err) {
    if (count && (!array || stride < sizeof(T)))
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: the array of %s is wrong",
                    read ? "reads" : "updates");
    for (uint32_t i = 0; i < count; ++i) {
        const T &piece = element(array, stride, i);
        rz_code code = check_struct(&piece, sizeof(T), 0, read ? "rz_read" : "rz_update", err);
        if (code != RZ_OK) return code;
        if (piece.size && !piece.data)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: data of tensor %u is NULL",
                        piece.tensor);
        code = check_piece(target, symbols, piece, read, err);
        if (code != RZ_OK) return code;
    }
    return RZ_OK;
}

// One end of a chain: an output or an input that lives in the instance.
rz_code check_chain_end(const SubmitTarget &target, uint32_t tensor, bool from, rz_error *err) {
    const Region &region = target.region;
    bool known = tensor < target.tensor_count && !region.tensors[tensor].is_view(tensor);
    if (known && from)
        known =
            std::find(region.outputs.begin(), region.outputs.end(), tensor) != region.outputs.end();
    else if (known)
        known = region.tensors[tensor].role == RZ_ROLE_INPUT;
    if (known && !target.is_external(tensor)) return RZ_OK;
    return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                "submit: chain: expected %s that is not bound, found tensor %u",
                from ? "an output" : "an input", tensor);
}

rz_code check_chains(const SubmitTarget &target, const rz_submit &s, rz_error *err) {
    if (s.chain_count && (!s.chains || s.chain_stride < sizeof(rz_chain)))
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: the array of chains is wrong");
    const auto bytes = [&](uint32_t tensor) {
        const Tensor &t = target.region.tensors[tensor];
        return t.extent(t.dim0(s.symbols));
    };
    for (uint32_t i = 0; i < s.chain_count; ++i) {
        const rz_chain &chain = element(s.chains, s.chain_stride, i);
        rz_code code = check_struct(&chain, sizeof(rz_chain), 0, "rz_chain", err);
        if (code == RZ_OK) code = check_chain_end(target, chain.from, true, err);
        if (code == RZ_OK) code = check_chain_end(target, chain.to, false, err);
        if (code != RZ_OK) return code;
        const auto &tensors = target.region.tensors;
        if (tensors[chain.from].dtype != tensors[chain.to].dtype ||
            bytes(chain.from) != bytes(chain.to))
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "submit: chain to %s: expected an output of its type and size, found %s",
                        tensors[chain.to].name.c_str(), tensors[chain.from].name.c_str());
    }
    return RZ_OK;
}

// Every input that lives in the instance comes once for each step, whole.
rz_code check_given(const SubmitTarget &target, const rz_submit &s, uint32_t step, rz_error *err) {
    for (uint32_t i = 0; i < target.tensor_count; ++i) {
        const Tensor &t = target.region.tensors[i];
        if (t.role != RZ_ROLE_INPUT || t.is_view(i) || target.is_external(i)) continue;
        const auto size = static_cast<uint64_t>(t.extent(t.dim0(s.symbols)));
        uint32_t given = 0;
        for (uint32_t u = 0; u < s.update_count; ++u) {
            const rz_update &update = element(s.updates, s.update_stride, u);
            if (update.tensor == i && update.step == step) given += update.size == size ? 1 : 2;
        }
        for (uint32_t c = 0; step > 0 && c < s.chain_count; ++c)
            given += element(s.chains, s.chain_stride, c).to == i;
        if (given != 1 && size > 0)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "submit: step %u: expected %s whole, by one update or chain", step,
                        t.name.c_str());
    }
    return RZ_OK;
}

rz_code check_steps(const SubmitTarget &target, const rz_submit &s, rz_error *err) {
    const uint32_t steps = std::max(s.steps, 1u);
    if (steps > 1 && !target.is_external)
        return fail(err, RZ_UNSUPPORTED, RZ_NONE, "submit: expected one step, found %u", steps);
    if (steps > RZ_MAX_STEPS || (s.chain_count && steps == 1))
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                    "submit: expected up to %u steps and chains for several, found %u and %u",
                    RZ_MAX_STEPS, steps, s.chain_count);
    for (uint32_t i = 0; i < s.update_count; ++i) {
        const rz_update &update = element(s.updates, s.update_stride, i);
        if (update.step >= steps || (update.step > 0 && target.is_external(update.tensor)))
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "submit: an update of step %u: expected a step below %u, of an input that "
                        "is not bound",
                        update.step, steps);
    }
    for (uint32_t i = 0; i < s.read_count; ++i)
        if (element(s.reads, s.read_stride, i).step >= steps)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "submit: a read is of step %u, expected one below %u",
                        element(s.reads, s.read_stride, i).step, steps);
    rz_code code = steps > 1 ? check_chains(target, s, err) : RZ_OK;
    for (uint32_t step = 0; code == RZ_OK && steps > 1 && step < steps; ++step)
        code = check_given(target, s, step, err);
    return code;
}

rz_code check_points(const SubmitTarget &target, const rz_point *points, uint32_t count,
                     bool must_rise, rz_error *err) {
    if (count && !points)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: an array of points is NULL");
    for (uint32_t i = 0; i < count; ++i) {
        const rz_point &p = points[i];
        if (!p.timeline)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: a timeline is NULL");
        if (!must_rise) continue;
        const uint64_t at = target.value(p.timeline);
        if (p.value <= at)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "submit: expected a signal above %llu, found %llu", wide(at),
                        wide(p.value));
    }
    return RZ_OK;
}

} // namespace

rz_code check_submit_struct(const rz_submit &s, rz_error *err) {
    const rz_code code = check_struct(&s, sizeof(rz_submit), 0, "rz_submit", err);
    if (code != RZ_OK || s.instance) return code;
    return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: the instance is NULL");
}

rz_code check_submit(const rz_submit &s, const SubmitTarget &target, rz_error *err) {
    rz_code code = check_symbols(target.region, s, err);
    if (code == RZ_OK) code = check_bindings(target, err);
    if (code == RZ_OK)
        code =
            check_pieces(target, s.symbols, s.updates, s.update_count, s.update_stride, false, err);
    if (code == RZ_OK)
        code = check_pieces(target, s.symbols, s.reads, s.read_count, s.read_stride, true, err);
    if (code == RZ_OK) code = check_steps(target, s, err);
    if (code == RZ_OK) code = check_points(target, s.waits, s.wait_count, false, err);
    if (code == RZ_OK) code = check_points(target, s.signals, s.signal_count, true, err);
    return code;
}

} // namespace realizar::plugin
