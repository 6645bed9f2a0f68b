#include "plugins/vulkan/weights.h"

#include "plugins/vulkan/half_weights.h"
#include "plugins/vulkan/plan/step.h"

#include <algorithm>
#include <cstring>

namespace realizar::vulkan {

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
        m.inner = static_cast<uint64_t>(w.dims.back());
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
        value.scratch = 2 * Uploader::kHalf;
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
            m.memory = device->gpu.memory().allocate(Heap::device, m.bytes());
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
        const uint64_t piece = Uploader::kHalf / block_bytes * block_bytes;
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
        if (set->uploader) set->uploader->wait();
        set->uploader.reset();
        set->finished = true;
        return RZ_OK;
    });
}

} // namespace

const rz_weights_api kWeightsApi = {sizeof(rz_weights_api), 0, plan, create, destroy, load, finish};

Uploader::Uploader(Gpu &gpu) : gpu_(gpu), progress_(gpu) {
    for (Half &half : halves_) {
        half.commands = std::make_unique<Commands>(gpu);
        half.memory = gpu.memory().allocate(Heap::staging, kHalf);
    }
}

Uploader::~Uploader() {
    try {
        wait();
    } catch (const Failure &) { // a lost device reads nothing any more
    }
}

void Uploader::wait() { progress_.wait(value_, UINT64_MAX); }

void Uploader::load(const PackedMatrix &matrix, uint64_t block, const void *data, uint64_t size) {
    if (!matrix.type && matrix.memory.host()) {
        gpu_.copy_by_threads(matrix.memory.host() + block, data, size);
        return;
    }
    Half &half = halves_[(value_ + 1) % 2];
    progress_.wait(half.value, UINT64_MAX);
    gpu_.copy_by_threads(half.memory.host(), data, size);
    const VolkDeviceTable &vk = gpu_.vk();
    const VkCommandBuffer commands = half.commands->handle();
    half.commands->begin();
    gpu_.full_barrier(commands);
    if (!matrix.type) {
        const VkBufferCopy region = {half.memory.offset(), matrix.memory.offset() + block, size};
        vk.vkCmdCopyBuffer(commands, half.memory.buffer(), matrix.memory.buffer(), 1, &region);
    } else {
        const PlaneType &type = *matrix.type;
        const auto blocks = static_cast<uint32_t>(size / type.block_bytes);
        const Planes planes = planes_at(type, matrix.layout, matrix.memory.address(), block);
        PackParams p = {half.memory.address(), {}, 0, blocks, 1};
        std::copy_n(planes.plane, 4, p.plane);
        vk.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE,
                             gpu_.pipelines().get(std::string("pack_") + type.suffix, {}));
        vk.vkCmdPushConstants(commands, gpu_.pipelines().layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0,
                              sizeof(p), &p);
        vk.vkCmdDispatch(commands, groups_for(uint64_t{blocks} * type.groups, 64), 1, 1);
    }
    half.commands->end();
    gpu_.submit(*half.commands, progress_, value_ + 1);
    half.value = ++value_;
}

} // namespace realizar::vulkan

realizar::vulkan::Planes rz_weights::planes(uint64_t key, const realizar::plugin::Tensor &t) const {
    using namespace realizar::vulkan;
    const Weight &w = weights.at(key);
    const PackedMatrix &m = matrices[w.matrix];
    const uint64_t block = static_cast<uint64_t>(t.offset) / m.type->block_bytes;
    Planes planes = planes_at(*m.type, m.layout, m.memory.address(), w.first_block + block);
    const auto stride = static_cast<uint64_t>(t.strides[t.rank - 2]);
    planes.stride = static_cast<uint32_t>(stride / m.type->block_bytes * m.type->groups);
    planes.groups = static_cast<uint32_t>(t.inner() / 32);
    return planes;
}

uint64_t rz_weights::half_rows(uint64_t key, const realizar::plugin::Tensor &t) const {
    using namespace realizar::vulkan;
    const Weight &w = weights.at(key);
    const PackedMatrix &m = matrices[w.matrix];
    const uint64_t row_bytes = w.row_bytes, offset = static_cast<uint64_t>(t.offset);
    const bool whole_rows = static_cast<uint64_t>(t.inner()) == m.inner &&
                            offset % row_bytes == 0 &&
                            static_cast<uint64_t>(t.strides[t.rank - 2]) == row_bytes;
    if (!m.half || !whole_rows) return 0;
    const uint64_t row = w.first_block * m.type->groups * 32 / m.inner + offset / row_bytes;
    return m.half.address() + row * align_up(m.inner, kHalfDepth) * sizeof(uint16_t);
}
