#include "plugins/cpu/weights.h"

#include "plugins/cpu/ops/packed.h"

#include <algorithm>
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

uint64_t elements_of(const Weight &w) { return static_cast<uint64_t>(w.dims.back()); }

// Padding to whole groups must not cost more than an eighth; the matrices of a stack are not padded.
bool fits_groups(const Weight &w) {
    if (w.dims.size() > 2)
        return w.dims[w.dims.size() - 2] % static_cast<int64_t>(kPackedRows) == 0;
    const uint64_t padded = (w.rows + kPackedRows - 1) / kPackedRows * kPackedRows;
    return padded - w.rows <= w.rows / 8;
}

// Chooses what is packed and where. Returns the bytes.
uint64_t place_packed(const Region &region, const Kernels &kernels, Table &table) {
    // A key may have several storages: an embedding that is the head as well.
    std::map<uint64_t, WeightUse> uses;
    for (uint32_t i = 0; i < region.tensors.size(); ++i) {
        const Tensor &t = region.tensors[i];
        if (t.role != RZ_ROLE_WEIGHT || t.is_view(i)) continue;
        const WeightUse use = use_of_weight(region, i);
        WeightUse &all = uses[t.key];
        all = {all.multiplied || use.multiplied, all.other || use.other};
    }
    for (auto &[key, w] : table) {
        const WeightType type = weight_type(w.dtype);
        if (type != kWeightTypes && kernels.packed[type] && fits_groups(w) &&
            uses[key].multiplied && !uses[key].other)
            w.layout = packed_layout(type);
    }
    uint64_t bytes = 0;
    for (auto &[key, w] : table) {
        if (!w.layout) continue;
        w.packed_at = bytes;
        bytes += align_up(w.layout->bytes(w.rows, elements_of(w)));
    }
    return bytes;
}

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
        value.resident = place_packed(region, device->driver.kernels, table);
        // What is not packed stays mapped; a source that goes away (no RZ_LOAD_STABLE) is copied when it
        // comes, within the budget.
        for (const auto &[key, w] : table)
            if (!w.layout) value.aliased += w.rows * w.row_bytes;
        fill_struct(out, value);
        return RZ_OK;
    });
}

rz_code allocate_packed(rz_weights &set, uint64_t size, rz_error *err) {
    if (size == 0) return RZ_OK;
    if (set.budget && size > set.budget)
        return fail(err, RZ_OUT_OF_MEMORY, RZ_NONE,
                    "packed weights of %llu bytes exceed the budget of %llu", wide(size),
                    wide(set.budget));
    set.packed = set.device.allocate(size);
    if (!set.packed.data())
        return fail(err, RZ_OUT_OF_MEMORY, RZ_NONE, "no memory for packed weights of %llu bytes",
                    wide(size));
    set.resident = size;
    for (auto &[key, w] : set.weights) {
        if (!w.layout) continue;
        std::byte *data = set.packed.data() + w.packed_at;
        w.data = data;
        // Lanes behind the last row are zeros.
        const uint64_t group = w.layout->group_bytes(elements_of(w));
        if (w.rows % kPackedRows) std::memset(data + w.rows / kPackedRows * group, 0, group);
    }
    return RZ_OK;
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
        if (code == RZ_OK)
            code = allocate_packed(
                *weights, place_packed(region, device->driver.kernels, weights->weights), err);
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

// Rows of one load, packed by all threads: each takes whole groups of rows.
struct Packing {
    const Weight &weight;
    const uint8_t *rows;
    uint64_t row_begin, row_end;

    static constexpr uint64_t kGroups = 8; // at a time

    uint64_t pieces() const {
        return (row_end - 1) / (kGroups * kPackedRows) - row_begin / (kGroups * kPackedRows) + 1;
    }
    static void piece(void *self, uint64_t i, unsigned) {
        const auto &job = *static_cast<const Packing *>(self);
        const uint64_t first = job.row_begin / (kGroups * kPackedRows) + i;
        const uint64_t begin = std::max(job.row_begin, first * kGroups * kPackedRows);
        const uint64_t end = std::min(job.row_end, (first + 1) * kGroups * kPackedRows);
        const Weight &w = job.weight;
        pack_rows(*w.layout, job.rows + (begin - job.row_begin) * w.row_bytes, begin, end - begin,
                  elements_of(w), const_cast<uint8_t *>(reinterpret_cast<const uint8_t *>(w.data)));
    }
};

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
        if (w->layout) {
            Packing job{*w, reinterpret_cast<const uint8_t *>(bytes), row_begin,
                        row_begin + row_count};
            set->device.driver.pool.run(job.pieces(), Packing::piece, &job);
            set->device.counters.bytes_written += size;
            w->loaded += row_count;
            return RZ_OK;
        }
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
