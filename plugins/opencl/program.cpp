#include "plugins/opencl/program.h"

#include "plugins/opencl/ops/op.h"
#include "plugins/opencl/plan/fusion.h"

#include <algorithm>
#include <bit>

namespace realizar::opencl {

namespace {

rz_code find_weights(rz_program &program, const rz_weights *set, rz_error *err) {
    const Region &region = program.region;
    program.fixed.assign(region.tensors.size(), {});
    for (uint32_t i = 0; i < region.tensors.size(); ++i) {
        const Tensor &t = region.tensors[i];
        if (t.role != RZ_ROLE_WEIGHT || t.is_view(i)) continue;
        if (!set || !set->finished)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "the graph has weights: expected a finished rz_weights");
        const auto found = set->weights.find(t.key);
        const bool same = found != set->weights.end() && found->second.dtype == t.dtype &&
                          std::equal(found->second.dims.begin(), found->second.dims.end(), t.dims,
                                     t.dims + t.rank);
        if (!same)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "weight %s: the rz_weights have no such tensor under key %llu",
                        t.name.c_str(), wide(t.key));
        program.fixed[i] = {set->matrices[found->second.matrix].memory.buffer(), 0};
    }
    return RZ_OK;
}

// Symbols that no tensor has as a dimension: only ATTENTION's bound on the keys is left for them.
std::vector<bool> find_bucketed(const Region &region) {
    std::vector<bool> result(region.symbols.size(), true);
    for (const Tensor &t : region.tensors)
        if (t.symbol != RZ_NONE) result[t.symbol] = false;
    return result;
}

std::vector<plugin::Lifetime> lifetimes(const rz_program &program) {
    std::vector<plugin::Lifetime> all(program.region.tensors.size(), {RZ_NONE, 0, 0});
    for (size_t i = 0; i < program.steps.size(); ++i)
        for (const View &view : program.steps[i].touches) {
            plugin::Lifetime &life = all[view.storage()];
            if (life.storage == RZ_NONE) life = {view.storage(), i, i};
            life.last = i;
        }
    std::erase_if(all, [&](const plugin::Lifetime &life) {
        return life.storage == RZ_NONE || program.fixed[life.storage].buffer;
    });
    return all;
}

void plan_steps(rz_program &program, const rz_weights *weights, bool fuse,
                const Features &features) {
    Gpu &gpu = program.device.gpu;
    const auto groups = find_groups(program.region, fuse);
    Planner planner(program.region, features, weights, fuse);
    for (const FusedGroup &group : groups)
        group.plan(planner, group);
    program.steps = std::move(planner.steps_);
    program.room_bytes = planner.room_bytes_;
    program.fixed.resize(program.region.tensors.size());
    program.fused_nodes = static_cast<uint32_t>(program.region.nodes.size() - groups.size());
    if (!planner.constants_.empty()) {
        program.constants = gpu.allocate(planner.constants_.size());
        gpu.write(program.constants, 0, planner.constants_.data(), planner.constants_.size());
    }
    for (const auto &[storage, offset] : planner.constant_offsets_)
        program.fixed[storage] = {program.constants.buffer(), offset};
    program.layout = plugin::lay_out(program.region, lifetimes(program), kPlaceAlignment);
}

// Without CLBlast if its memory would go beyond the budget (0: none).
void plan_within(rz_program &program, const rz_weights *weights, bool fuse, uint64_t budget) {
    Features features = program.device.gpu.features();
    const Region region = program.region;
    const std::vector<Place> fixed = program.fixed;
    plan_steps(program, weights, fuse, features);
    if (!budget || program.scratch_bytes() <= budget || !program.room_bytes) return;
    features.products = Products::own;
    program.region = region;
    program.fixed = fixed;
    plan_steps(program, weights, fuse, features);
}

// Recording at the hints builds the kernels of the usual submission now, and counts.
void warm_up(rz_program &program) {
    std::vector<int64_t> symbols;
    for (const plugin::Symbol &symbol : program.region.symbols)
        symbols.push_back(symbol.hint);
    program.bucket(symbols);
    // As in an instance: inputs in one memory object, scratch in another, each state in one.
    std::vector<Place> places = program.fixed;
    std::vector<std::byte> others(places.size() + 2);
    for (size_t i = 0; i < places.size(); ++i) {
        if (places[i].buffer) continue;
        const size_t other = program.layout.inputs[i] >= 0    ? places.size()
                             : program.layout.scratch[i] >= 0 ? places.size() + 1
                                                              : i;
        places[i] = {reinterpret_cast<cl_mem>(&others[other]), 0};
    }
    std::vector<Launch> launches;
    Recorder recorder(program.device.gpu, places, symbols, launches, nullptr, true);
    for (const Step &step : program.steps)
        step.record(recorder);
    program.launches = static_cast<uint32_t>(launches.size());
}

rz_code compile(rz_device *device, const rz_graph *graph, rz_weights *weights,
                const rz_compile_options *options, rz_program **out, rz_error *err) {
    return guarded(err, [&] {
        if (!device || !out)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "program.compile: NULL argument");
        rz_code code = RZ_OK;
        if (options)
            code = check_struct(options, sizeof(rz_compile_options), 0, "rz_compile_options", err);
        auto program = std::unique_ptr<rz_program>(new rz_program{*device});
        if (code == RZ_OK) code = plugin::read_region(graph, program->region, err);
        for (uint32_t i = 0; code == RZ_OK && i < program->region.nodes.size(); ++i)
            code = plugin::check_node(program->region, i, kCoverage, err);
        if (code == RZ_OK) code = find_weights(*program, weights, err);
        if (code != RZ_OK) return code;
        program->tensor_count = static_cast<uint32_t>(program->region.tensors.size());
        program->bucketed = find_bucketed(program->region);
        const uint64_t budget = options ? options->memory_budget : 0;
        const bool fuse = !options || !(options->flags & RZ_COMPILE_NO_FUSE);
        plan_within(*program, weights, fuse, budget);
        if (budget && program->scratch_bytes() > budget)
            return fail(err, RZ_OUT_OF_MEMORY, RZ_NONE,
                        "an instance needs %llu bytes, the budget is %llu",
                        wide(program->scratch_bytes()), wide(budget));
        warm_up(*program);
        *out = program.release();
        return RZ_OK;
    });
}

rz_code info(rz_program *program, rz_program_info *out, rz_error *err) {
    if (!program) return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "program.info: NULL program");
    const rz_code code = check_struct(out, sizeof(rz_program_info), 0xffff, "rz_program_info", err);
    if (code != RZ_OK) return code;
    rz_program_info value = {};
    value.scratch_bytes = program->scratch_bytes();
    value.dispatches = program->launches;
    value.fused_nodes = program->fused_nodes;
    fill_struct(out, value);
    return RZ_OK;
}

void destroy(rz_program *program) { delete program; }

} // namespace

const rz_program_api kProgramApi = {sizeof(rz_program_api), 0, compile, info, destroy};

} // namespace realizar::opencl

void rz_program::bucket(std::vector<int64_t> &symbols) const {
    constexpr uint64_t kLeast = 128;
    for (size_t i = 0; i < symbols.size(); ++i) {
        if (!bucketed[i]) continue;
        const auto wanted = std::bit_ceil(
            std::max(kLeast, static_cast<uint64_t>(std::max<int64_t>(symbols[i], 0))));
        symbols[i] = std::min(static_cast<int64_t>(wanted), region.symbols[i].max);
    }
}
