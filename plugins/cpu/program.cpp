#include "plugins/cpu/program.h"

#include "plugins/cpu/ops/packed.h"

#include <algorithm>

namespace realizar::cpu {

namespace {

rz_code find_weights(rz_program &program, const rz_weights *set, rz_error *err) {
    const Region &region = program.region;
    program.weights.assign(region.tensors.size(), nullptr);
    program.packed.assign(region.tensors.size(), nullptr);
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
                        t.name.c_str(), static_cast<unsigned long long>(t.key));
        program.weights[i] = found->second.data;
        program.packed[i] = found->second.layout;
        if (program.packed[i] && use_of_weight(region, i).other)
            return fail(err, RZ_UNSUPPORTED, RZ_NONE,
                        "weight %s: packed for the graph of weights.create, which only multiplied "
                        "with it; this graph reads it otherwise",
                        t.name.c_str());
    }
    return RZ_OK;
}

void plan_steps(rz_program &program, bool fuse) {
    rz_driver &driver = program.device.driver;
    Planner planner(program.region, driver.kernels, driver.decoders, driver.pool.threads(), fuse);
    planner.set_packed(program.packed);
    for (const Node &node : program.region.nodes)
        find_op(node.op)->plan(planner, node);
    program.steps = planner.take();
    program.phases = make_schedule(program.steps, fuse);
    program.layout = make_layout(program.region, program.phases);
    for (const auto &step : program.steps)
        program.worker_bytes = std::max(program.worker_bytes, align_up(step->worker_bytes));
    const size_t nodes = program.region.nodes.size(), phases = program.phases.size();
    program.fused_nodes = static_cast<uint32_t>(nodes > phases ? nodes - phases : 0);
    program.weights.resize(program.region.tensors.size(), nullptr);
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
        if (code == RZ_OK) code = read_region(graph, program->region, err);
        for (uint32_t i = 0; code == RZ_OK && i < program->region.nodes.size(); ++i)
            code = plugin::check_node(program->region, i, coverage(device->driver.decoders), err);
        if (code == RZ_OK) code = find_weights(*program, weights, err);
        if (code != RZ_OK) return code;
        program->tensor_count = static_cast<uint32_t>(program->region.tensors.size());
        plan_steps(*program, !options || !(options->flags & RZ_COMPILE_NO_FUSE));
        const uint64_t budget = options ? options->memory_budget : 0;
        if (budget && program->scratch_bytes() > budget)
            return fail(err, RZ_OUT_OF_MEMORY, RZ_NONE,
                        "an instance needs %llu bytes, the budget is %llu",
                        static_cast<unsigned long long>(program->scratch_bytes()),
                        static_cast<unsigned long long>(budget));
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
    value.dispatches = static_cast<uint32_t>(program->phases.size());
    value.fused_nodes = program->fused_nodes;
    fill_struct(out, value);
    return RZ_OK;
}

void destroy(rz_program *program) { delete program; }

} // namespace

const rz_program_api kProgramApi = {sizeof(rz_program_api), 0, compile, info, destroy};

} // namespace realizar::cpu
