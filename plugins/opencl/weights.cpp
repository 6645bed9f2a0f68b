#include "plugins/opencl/weights.h"

#include "plugins/opencl/cl/programs.h"
#include "plugins/opencl/plan/step.h"

#include <algorithm>
#include <cstring>

namespace realizar::opencl {

namespace {

using plugin::read_region;
using Table = std::map<uint64_t, Weight>;

// The WEIGHT storages of a graph. One key in two storages must mean the same tensor.
rz_code collect(const Region &region, Table &out, rz_error *err) {
    for (uint32_t i = 0; i < region.tensors.size(); ++i) {
        const Tensor &t = region.tensors[i];
        if (t.role != RZ_ROLE_WEIGHT || t.is_view(i)) continue;
        if (plugin::dtype_info(t.dtype).elements == 0)
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

// Keys of quantised matrices by the operand that they multiply: those of one group may share planes.
std::map<std::string, std::vector<uint64_t>> sharing(const Region &region) {
    std::map<std::string, std::vector<uint64_t>> groups;
    for (const Node &node : region.nodes) {
        if (node.op != RZ_OP_MATMUL || node.inputs.size() != 2) continue;
        const uint32_t index = node.inputs[0];
        if (index == RZ_NONE || node.inputs[1] == RZ_NONE) continue;
        const Tensor &w = region.tensors[index];
        if (w.role != RZ_ROLE_WEIGHT || w.is_view(index) || !plane_type(w.dtype)) continue;
        groups[std::to_string(node.inputs[1]) + ' ' + std::to_string(w.dtype) + ' ' +
               std::to_string(w.inner())]
            .push_back(w.key);
    }
    return groups;
}

// Puts every weight into a matrix; returns the matrices, without memory.
std::vector<PackedMatrix> arrange(const Region &region, Table &table) {
    std::vector<PackedMatrix> matrices;
    std::map<uint64_t, bool> placed;
    const auto place = [&](uint64_t key) {
        Weight &w = table.at(key);
        PackedMatrix &m = matrices.back();
        w.matrix = static_cast<uint32_t>(matrices.size() - 1);
        w.first_block = m.blocks;
        m.blocks += w.rows * w.row_bytes / (m.type ? m.type->block_bytes : 1);
        placed[key] = true;
    };
    for (const auto &[operand, keys] : sharing(region)) {
        bool first = true;
        for (const uint64_t key : keys) {
            if (placed[key]) continue;
            if (first) matrices.emplace_back().type = plane_type(table.at(key).dtype);
            first = false;
            place(key);
        }
    }
    for (const auto &[key, w] : table) {
        if (placed[key]) continue;
        matrices.emplace_back().type = plane_type(w.dtype);
        place(key);
    }
    for (PackedMatrix &m : matrices)
        if (m.type) m.layout = PlaneLayout(*m.type, m.blocks);
    return matrices;
}

rz_code read_weights(const rz_graph *graph, Table &table, std::vector<PackedMatrix> &matrices,
                     rz_error *err) {
    Region region;
    rz_code code = read_region(graph, region, err);
    if (code == RZ_OK) code = collect(region, table, err);
    if (code == RZ_OK) matrices = arrange(region, table);
    return code;
}

uint64_t total_bytes(const std::vector<PackedMatrix> &matrices) {
    uint64_t bytes = 0;
    for (const PackedMatrix &m : matrices)
        bytes += m.bytes();
    return bytes;
}

rz_code plan(rz_device *device, const rz_graph *graph, rz_weights_plan *out, rz_error *err) {
    return guarded(err, [&] {
        if (!device) return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "weights.plan: NULL device");
        rz_code code = check_struct(out, sizeof(rz_weights_plan), 0xffff, "rz_weights_plan", err);
        Table table;
        std::vector<PackedMatrix> matrices;
        if (code == RZ_OK) code = read_weights(graph, table, matrices, err);
        if (code != RZ_OK) return code;
        rz_weights_plan value = {};
        value.resident = total_bytes(matrices);
        value.scratch = Uploader::kBytes;
        fill_struct(out, value);
        return RZ_OK;
    });
}

rz_code create(rz_device *device, const rz_graph *graph, uint64_t budget, rz_weights **out,
               rz_error *err) {
    return guarded(err, [&] {
        if (!device || !out)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "weights.create: NULL argument");
        auto set = std::unique_ptr<rz_weights>(new rz_weights{*device, budget});
        const rz_code code = read_weights(graph, set->weights, set->matrices, err);
        if (code != RZ_OK) return code;
        const uint64_t bytes = total_bytes(set->matrices);
        if (budget && bytes > budget)
            return fail(err, RZ_OUT_OF_MEMORY, RZ_NONE,
                        "the weights need %llu bytes, the budget is %llu", wide(bytes),
                        wide(budget));
        for (PackedMatrix &m : set->matrices)
            m.memory = device->gpu.allocate(m.bytes());
        *out = set.release();
        return RZ_OK;
    });
}

void destroy(rz_weights *weights) { delete weights; }

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
        const rz_code code = check_load(set, key, row_begin, row_count, data, size, flags, w, err);
        if (code != RZ_OK || size == 0) return code;
        const rz_host &host = set->device.gpu.host();
        const PackedMatrix &m = set->matrices[w->matrix];
        // The planes do not know rows: a weight is one sequence of blocks.
        const uint64_t block_bytes = m.type ? m.type->block_bytes : 1;
        const uint64_t first = w->first_block + row_begin * w->row_bytes / block_bytes;
        const uint64_t piece = Uploader::kBytes / block_bytes * block_bytes;
        if (!set->uploader) set->uploader = std::make_unique<Uploader>(set->device.gpu);
        for (uint64_t at = 0; at < size; at += piece) {
            if (host.cancelled(host.self))
                return fail(err, RZ_CANCELLED, RZ_NONE, "weights.load: cancelled");
            set->uploader->load(m, first + at / block_bytes,
                                static_cast<const std::byte *>(data) + at,
                                std::min(piece, size - at));
        }
        set->device.gpu.counters().bytes_written += size;
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
        if (set->uploader) set->device.gpu.finish();
        set->uploader.reset();
        set->finished = true;
        return RZ_OK;
    });
}

} // namespace

const rz_weights_api kWeightsApi = {sizeof(rz_weights_api), 0, plan, create, destroy, load, finish};

void Uploader::load(const PackedMatrix &matrix, uint64_t block, const void *data, uint64_t size) {
    if (!matrix.type) return gpu_.write(matrix.memory, block, data, size);
    const PlaneType &type = *matrix.type;
    const auto blocks = static_cast<uint32_t>(size / type.block_bytes);
    const Planes planes = planes_at(type, matrix.layout, 0, block);
    const PackParams p = {
        0, {planes.plane[0], planes.plane[1], planes.plane[2], planes.plane[3]}, 0, blocks, 1, 0};
    gpu_.write(staging_, 0, data, size); // waits for the launch before
    std::vector<Launch> launches;
    Recorder(gpu_, {}, {}, launches)
        .launch("pack", type.option, p, {staging_.buffer(), matrix.memory.buffer()},
                {groups_for(uint64_t{blocks} * type.groups, 64)});
    for (const Launch &launch : launches)
        gpu_.queue_launch(launch);
}

} // namespace realizar::opencl

realizar::opencl::Planes rz_weights::planes(uint64_t key, const realizar::plugin::Tensor &t) const {
    using namespace realizar::opencl;
    const Weight &w = weights.at(key);
    const PackedMatrix &m = matrices[w.matrix];
    const uint64_t block = static_cast<uint64_t>(t.offset) / m.type->block_bytes;
    Planes planes = planes_at(*m.type, m.layout, 0, w.first_block + block);
    const auto stride = static_cast<uint64_t>(t.strides[t.rank - 2]);
    planes.stride = static_cast<uint32_t>(stride / m.type->block_bytes * m.type->groups);
    planes.groups = static_cast<uint32_t>(t.inner() / 32);
    return planes;
}
