#include "plugins/vulkan/program.h"

#include "plugins/vulkan/half_weights.h"
#include "plugins/vulkan/ops/op.h"
#include "plugins/vulkan/plan/choose.h"
#include "plugins/vulkan/plan/fusion.h"

#include <algorithm>

namespace realizar::vulkan {

namespace {

rz_code find_weights(rz_program &program, const rz_weights *set, rz_error *err) {
    const Region &region = program.region;
    program.weights.assign(region.tensors.size(), {});
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
        const Memory &memory = set->matrices[found->second.matrix].memory;
        program.weights[i] = {memory.address(), memory.buffer(), memory.offset(), memory.host()};
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

bool is_repeatable(const Region &region) {
    return std::all_of(region.nodes.begin(), region.nodes.end(), [&](const Node &node) {
        return node.op == RZ_OP_KV_WRITE ||
               std::all_of(node.outputs.begin(), node.outputs.end(), [&](uint32_t output) {
                   const uint32_t storage = region.tensors[output].storage;
                   return region.tensors[storage].role != RZ_ROLE_STATE;
               });
    });
}

void plan_steps(rz_program &program, const rz_weights *weights, bool fuse) {
    Gpu &gpu = program.device.gpu;
    const auto groups = find_groups(program.region, fuse);
    Planner planner(program.region, gpu.features(), weights, fuse);
    for (const FusedGroup &group : groups)
        group.plan(planner, group);
    program.steps = std::move(planner.steps_);
    program.constant_offsets = std::move(planner.constant_offsets_);
    program.table_offsets = std::move(planner.table_offsets_);
    program.table_bytes = planner.table_bytes_;
    std::vector<bool> elsewhere(program.region.tensors.size());
    for (const auto *offsets : {&program.constant_offsets, &program.table_offsets})
        for (const auto &[storage, offset] : *offsets)
            elsewhere[storage] = true;
    program.layout = make_layout(program.region, program.steps, elsewhere);
    program.weights.resize(program.region.tensors.size());
    program.fused_nodes = static_cast<uint32_t>(program.region.nodes.size() - groups.size());
    if (planner.constants_.empty()) return;
    program.constant_bytes = std::move(planner.constants_);
    program.constants = gpu.memory().allocate(Heap::device, program.constant_bytes.size());
    program.restore_constants();
}

// Dispatches of a submission with symbols at their hints, or at `most` if that is less. Recording makes
// the pipelines.
uint32_t rehearse(rz_program &program, int64_t most) {
    Gpu &gpu = program.device.gpu;
    std::vector<int64_t> symbols;
    for (const plugin::Symbol &symbol : program.region.symbols)
        symbols.push_back(std::clamp(std::min(symbol.hint, most), symbol.min, symbol.max));
    program.bucket(symbols);
    const std::vector<Place> places(program.region.tensors.size());
    Commands commands(gpu);
    commands.begin();
    const uint64_t counter = gpu.chains() ? 16 : 0; // nobody runs this
    Recorder recorder(gpu, commands.handle(), places, symbols, nullptr, counter);
    for (const auto &step : program.steps)
        recorder.record(*step);
    commands.end();
    return recorder.dispatches();
}

// Makes the pipelines of usual submissions now, and counts. Prompts choose among tiles by their
// length, and these take a driver long.
void warm_up(rz_program &program) {
    Gpu &gpu = program.device.gpu;
    program.dispatches = rehearse(program, INT64_MAX);
    if (gpu.features().coopmat_nv)
        for (const int64_t rows : {64, 512})
            rehearse(program, rows);
    gpu.pipelines().save();
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
        program->repeatable = is_repeatable(program->region);
        if (weights) make_half_weights(*weights, program->region);
        plan_steps(*program, weights, !options || !(options->flags & RZ_COMPILE_NO_FUSE));
        const uint64_t budget = options ? options->memory_budget : 0;
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
    value.dispatches = program->dispatches;
    value.fused_nodes = program->fused_nodes;
    fill_struct(out, value);
    return RZ_OK;
}

void destroy(rz_program *program) { delete program; }

} // namespace

const rz_program_api kProgramApi = {sizeof(rz_program_api), 0, compile, info, destroy};

} // namespace realizar::vulkan

void rz_program::restore_constants() {
    if (!constants) return;
    device.gpu.write(constants, 0, constant_bytes.data(), constant_bytes.size());
}

void rz_program::bucket(std::vector<int64_t> &symbols) const {
    for (size_t i = 0; i < symbols.size(); ++i)
        if (bucketed[i])
            symbols[i] = realizar::vulkan::key_bucket(symbols[i], region.symbols[i].max);
}
