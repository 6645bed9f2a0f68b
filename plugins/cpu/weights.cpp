#include "plugins/cpu/weights.h"

#include <cstring>
#include <memory>

namespace realizar::cpu {

namespace {

using Table = std::map<uint64_t, Weight>;

unsigned long long wide(uint64_t n) { return n; }

// The WEIGHT storages of a graph. One key in two storages must mean the same tensor.
rz_code collect(const Region &region, Table &out, rz_error *err) {
    for (uint32_t i = 0; i < region.tensors.size(); ++i) {
        const Tensor &t = region.tensors[i];
        if (t.role != RZ_ROLE_WEIGHT || t.is_view(i)) continue;
        if (dtype_info(t.dtype).elements == 0)
            return fail(err, RZ_UNSUPPORTED, RZ_NONE, "weight %s: type %u is not known",
                        t.name.c_str(), t.dtype);
        Weight w;
        w.name = t.name;
        w.dtype = t.dtype;
        w.dims.assign(t.dims, t.dims + t.rank);
        w.rows = 1;
        for (uint32_t d = 0; d + 1 < t.rank; ++d)
            w.rows *= static_cast<uint64_t>(t.dims[d]);
        w.row_bytes = static_cast<uint64_t>(t.row_bytes());
        const auto [at, added] = out.try_emplace(t.key, std::move(w));
        if (!added &&
            (at->second.dtype != t.dtype ||
             !std::equal(at->second.dims.begin(), at->second.dims.end(), t.dims, t.dims + t.rank)))
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "weights %s and %s share key %llu but differ in type or shape",
                        at->second.name.c_str(), t.name.c_str(), wide(t.key));
    }
    return RZ_OK;
}

// What stays mapped needs no memory of ours, so a plan is all `aliased`; a source that goes away
// (no RZ_LOAD_STABLE) is copied when it comes, within the budget.
rz_code plan(rz_device *device, const rz_graph *graph, rz_weights_plan *out, rz_error *err) {
    return guarded(err, [&] {
        if (!device) return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "weights.plan: NULL device");
        rz_code code = check_struct(out, sizeof(rz_weights_plan), 0xffff, "rz_weights_plan", err);
        Region region;
        Table table;
        if (code == RZ_OK) code = read_region(graph, region, err);
        if (code == RZ_OK) code = collect(region, table, err);
        if (code != RZ_OK) return code;
        rz_weights_plan value = {};
        for (const auto &[key, w] : table)
            value.aliased += w.rows * w.row_bytes;
        fill_struct(out, value);
        return RZ_OK;
    });
}

rz_code create(rz_device *device, const rz_graph *graph, uint64_t budget, rz_weights **out,
               rz_error *err) {
    return guarded(err, [&] {
        if (!device || !out)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "weights.create: NULL argument");
        auto weights = std::unique_ptr<rz_weights>(new rz_weights{*device, budget});
        Region region;
        rz_code code = read_region(graph, region, err);
        if (code == RZ_OK) code = collect(region, weights->weights, err);
        if (code == RZ_OK) *out = weights.release();
        return code;
    });
}

void destroy(rz_weights *weights) { delete weights; }

// Gives the weight memory of its own, with the rows that came so far.
rz_code make_copy(rz_weights &set, Weight &w, rz_error *err) {
    const uint64_t size = w.rows * w.row_bytes;
    if (set.budget && set.resident + size > set.budget)
        return fail(err, RZ_OUT_OF_MEMORY, RZ_NONE,
                    "weight %s: a copy of %llu bytes exceeds the budget of %llu (%llu in use)",
                    w.name.c_str(), wide(size), wide(set.budget), wide(set.resident));
    Memory copy = set.device.allocate(size);
    if (!copy.data())
        return fail(err, RZ_OUT_OF_MEMORY, RZ_NONE, "weight %s: no memory for %llu bytes",
                    w.name.c_str(), wide(size));
    if (w.loaded) std::memcpy(copy.data(), w.data, w.loaded * w.row_bytes);
    w.copy = std::move(copy);
    w.data = w.copy.data();
    set.resident += size;
    return RZ_OK;
}

rz_code check_load(rz_weights *set, uint64_t key, uint64_t row_begin, uint64_t row_count,
                   const void *data, uint64_t size, uint32_t flags, Weight *&out, rz_error *err) {
    if (!set || (size && !data))
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "weights.load: NULL argument");
    if (flags & 0xffffu)
        return fail(err, RZ_UNSUPPORTED, RZ_NONE, "weights.load: required flags 0x%x are not known",
                    flags & 0xffffu);
    const auto found = set->weights.find(key);
    if (found == set->weights.end())
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "weights.load: no weight has key %llu",
                    wide(key));
    Weight &w = found->second;
    if (set->finished)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "weight %s: loading has ended",
                    w.name.c_str());
    if (row_begin != w.loaded || row_count > w.rows - w.loaded)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                    "weight %s: expected at most %llu rows from %llu, found %llu from %llu",
                    w.name.c_str(), wide(w.rows - w.loaded), wide(w.loaded), wide(row_count),
                    wide(row_begin));
    if (size != row_count * w.row_bytes)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                    "weight %s: expected %llu bytes for %llu rows, found %llu", w.name.c_str(),
                    wide(row_count * w.row_bytes), wide(row_count), wide(size));
    out = &w;
    return RZ_OK;
}

rz_code load(rz_weights *set, uint64_t key, uint64_t row_begin, uint64_t row_count,
             const void *data, uint64_t size, uint32_t flags, rz_error *err) {
    return guarded(err, [&] {
        Weight *w = nullptr;
        rz_code code = check_load(set, key, row_begin, row_count, data, size, flags, w, err);
        if (code != RZ_OK || size == 0) return code;
        const rz_host &host = set->device.driver.host;
        if (host.cancelled(host.self))
            return fail(err, RZ_CANCELLED, RZ_NONE, "weights.load: cancelled");
        const auto *bytes = static_cast<const std::byte *>(data);
        const uint64_t offset = row_begin * w->row_bytes;
        // In place as long as all rows lie one behind the other.
        const bool follows = w->loaded == 0 || w->data + offset == bytes;
        if (!w->copy.data() && (flags & RZ_LOAD_STABLE) && follows) {
            if (w->loaded == 0) w->data = bytes;
        } else {
            if (!w->copy.data()) code = make_copy(*set, *w, err);
            if (code != RZ_OK) return code;
            std::memcpy(w->copy.data() + offset, bytes, size);
            set->device.counters.bytes_written += size;
        }
        w->loaded += row_count;
        return RZ_OK;
    });
}

rz_code finish(rz_weights *set, rz_error *err) {
    return guarded(err, [&] {
        if (!set) return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "weights.finish: NULL weights");
        for (const auto &[key, w] : set->weights)
            if (w.loaded != w.rows)
                return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                            "weight %s: expected %llu rows, found %llu", w.name.c_str(),
                            wide(w.rows), wide(w.loaded));
        set->finished = true;
        return RZ_OK;
    });
}

} // namespace

const rz_weights_api kWeightsApi = {sizeof(rz_weights_api), 0, plan, create, destroy, load, finish};

} // namespace realizar::cpu
