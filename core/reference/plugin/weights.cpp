// Weights stay in their canonical bytes and are decoded row by row when a node reads them.
#include "core/reference/plugin/objects.h"

#include "core/graph/layout.h"

#include <cinttypes>
#include <cstring>

namespace realizar::reference {
namespace {

std::map<uint64_t, Weight> collect(const rz_graph &graph) {
    std::map<uint64_t, Weight> out;
    for (uint32_t i = 0; i < graph.tensor_count; ++i) {
        const rz_tensor &tensor = tensor_at(graph, i);
        if (tensor.role != RZ_ROLE_WEIGHT || tensor.storage != i) continue;
        Weight weight{};
        weight.dtype = tensor.dtype;
        weight.shape = tensor_shape(tensor);
        weight.row_size = row_bytes(static_cast<DType>(tensor.dtype),
                                    static_cast<uint64_t>(weight.shape.inner()));
        weight.rows = tensor_max_bytes(graph, tensor) / weight.row_size;
        out.emplace(tensor.key, std::move(weight));
    }
    return out;
}

uint64_t total_bytes(const std::map<uint64_t, Weight> &weights) {
    uint64_t total = 0;
    for (const auto &[key, weight] : weights)
        if (__builtin_add_overflow(total, weight.rows * weight.row_size, &total)) return UINT64_MAX;
    return total;
}

rz_code check_graph(const rz_graph *graph, rz_error *err) {
    RZ_CHECK(check_handle(graph, "graph", err));
    const Status status = validate_graph(*graph);
    return status ? RZ_OK : fail(err, status.error());
}

// The plan must hold whatever load flags come, so it counts a copy of everything. Stable bytes are
// read in place, and then less becomes resident.
rz_code plan(rz_device *device, const rz_graph *graph, rz_weights_plan *out, rz_error *err) {
    return guarded(err, [&]() -> rz_code {
        RZ_CHECK(check_handle(device, "device", err));
        RZ_CHECK(check_struct(out, "weights plan", err));
        RZ_CHECK(check_graph(graph, err));
        out->resident = total_bytes(collect(*graph));
        out->aliased = 0;
        out->scratch = 0;
        return RZ_OK;
    });
}

rz_code create(rz_device *device, const rz_graph *graph, uint64_t budget, rz_weights **out,
               rz_error *err) {
    return guarded(err, [&]() -> rz_code {
        RZ_CHECK(check_handle(device, "device", err));
        RZ_CHECK(check_handle(out, "place for the weights", err));
        RZ_CHECK(check_graph(graph, err));
        std::map<uint64_t, Weight> weights = collect(*graph);
        const uint64_t total = total_bytes(weights);
        if (budget != 0 && total > budget)
            return fail(err, RZ_OUT_OF_MEMORY,
                        "weights: expected at most %" PRIu64 " bytes, found %" PRIu64, budget,
                        total);
        *out = handle(new Weights{&object(device), std::move(weights)});
        return RZ_OK;
    });
}

void destroy(rz_weights *weights) { destroy_object(weights); }

// Goes on in the caller's bytes where all rows so far lie in one stable piece, else in a copy.
void take_rows(Weights &owner, Weight &weight, const std::byte *data, uint64_t size, bool stable) {
    const uint64_t before = weight.loaded * weight.row_size;
    const bool copied = weight.copy.data() != nullptr;
    if (stable && !copied && (before == 0 || weight.data + before == data)) {
        if (before == 0) weight.data = data;
        return;
    }
    if (!copied) {
        weight.copy =
            HostMemory(*owner.device->host, owner.device->counters, weight.rows * weight.row_size);
        if (before > 0) std::memcpy(weight.copy.data(), weight.data, before);
        weight.data = weight.copy.data();
    }
    std::memcpy(weight.copy.data() + before, data, size);
}

rz_code load(rz_weights *weights, uint64_t key, uint64_t row_begin, uint64_t row_count,
             const void *data, uint64_t size, uint32_t load_flags, rz_error *err) {
    return guarded(err, [&]() -> rz_code {
        RZ_CHECK(check_handle(weights, "weight set", err));
        RZ_CHECK(check_handle(data, "source", err));
        if ((load_flags & kRequiredFlags) != 0)
            return fail(err, RZ_UNSUPPORTED, "load flags: expected no required bit, found 0x%x",
                        load_flags);
        Weights &owner = object(weights);
        const auto entry = owner.by_key.find(key);
        if (entry == owner.by_key.end() || owner.finished)
            return fail(err, RZ_INVALID_ARGUMENT,
                        "weight %" PRIu64 ": expected a key of the graph before finish, found %s",
                        key, owner.finished ? "a finished set" : "an unknown one");
        Weight &weight = entry->second;
        if (row_begin != weight.loaded || row_count > weight.rows - weight.loaded ||
            size != row_count * weight.row_size)
            return fail(
                err, RZ_INVALID_ARGUMENT,
                "weight %" PRIu64 ": expected rows from %" PRIu64 " of %" PRIu64 " on, %" PRIu64
                " bytes each, found %" PRIu64 " rows from %" PRIu64 " in %" PRIu64 " bytes",
                key, weight.loaded, weight.rows, weight.row_size, row_count, row_begin, size);
        if (row_count == 0) return RZ_OK;
        take_rows(owner, weight, static_cast<const std::byte *>(data), size,
                  (load_flags & RZ_LOAD_STABLE) != 0);
        weight.loaded += row_count;
        owner.device->counters.bytes_written += size;
        return RZ_OK;
    });
}

rz_code finish(rz_weights *weights, rz_error *err) {
    RZ_CHECK(check_handle(weights, "weight set", err));
    Weights &owner = object(weights);
    for (const auto &[key, weight] : owner.by_key)
        if (weight.loaded != weight.rows)
            return fail(err, RZ_INVALID_ARGUMENT,
                        "weight %" PRIu64 ": expected %" PRIu64 " rows, found %" PRIu64, key,
                        weight.rows, weight.loaded);
    owner.finished = true;
    return RZ_OK;
}

} // namespace

const rz_weights_api kWeightsApi = {sizeof(rz_weights_api), 0, plan, create, destroy, load, finish};

} // namespace realizar::reference
