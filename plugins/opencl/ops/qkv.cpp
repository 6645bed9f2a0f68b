// MATMULs of one x that become Q, K and V (plugins/common/qkv.h): for a single token in one launch for
// each run of rows that lie together, with bias, ROPE and KV_WRITE (kernels/matvec_qkv.cl); else step by
// step.
#include "plugins/common/qkv.h"
#include "plugins/opencl/ops/single.h"

namespace realizar::opencl {

namespace {

using plugin::Chain;
using plugin::QkvChains;

struct Operands {
    std::optional<View> bias[3];
    std::optional<Rotation> rotation;
    View k, v, cells, y;
    uint32_t rows[3] = {}; // of Q, K and V

    bool has_bias() const { return bias[0] || bias[1] || bias[2]; }
};

// `count` rows from row `first` of Q, K and V on.
void launch(Recorder &r, const Operands &o, const Single &single, uint32_t first, uint32_t count) {
    MatvecQkvParams p = {};
    p.x = single.params(r);
    p.y_at = r.at(o.y);
    cl_mem bias[3];
    for (size_t i = 0; i < 3; ++i) {
        p.bias_at[i] = o.bias[i] ? r.at(*o.bias[i]) : kNone;
        bias[i] = r.buffer(o.bias[i].value_or(o.y));
    }
    p.angles_at = o.rotation ? r.at(o.rotation->angles) : 0;
    p.cells_at = r.at(o.cells);
    p.k_at = r.at(o.k);
    p.v_at = r.at(o.v);
    p.n = count;
    p.first = first;
    p.rows_q = o.rows[0];
    p.rows_k = o.rows[1];
    p.width = o.k.max_inner();
    p.width_v = o.v.max_inner();
    p.turned = o.rotation ? o.rotation->pairs : 0;
    p.halves = o.rotation && o.rotation->halves ? 1 : 0;
    p.cells = o.k.max_size(1);
    p.k_cell = o.k.stride(1);
    p.k_head = o.k.stride(2);
    p.v_cell = o.v.stride(1);
    p.v_head = o.v.stride(2);
    std::string options = single.options(r);
    options += o.has_bias() ? " -DBIAS=1" : " -DBIAS=0";
    if (!r.on_cpu())
        options +=
            " -DWIDTH=" + std::to_string(p.width) + " -DWIDTH_V=" + std::to_string(p.width_v) +
            " -DTURNED=" + std::to_string(p.turned) + " -DHALVES=" + std::to_string(p.halves);
    r.launch_joined("matvec_qkv", options, p, {single.weights(r)},
                    {single.x(r), single.norm(r), r.buffer(o.y), bias[0], bias[1], bias[2],
                     r.buffer(o.rotation ? o.rotation->angles : o.y), r.buffer(o.cells),
                     r.buffer(o.k), r.buffer(o.v)},
                    single.grid(r, count / 2));
}

void plan_chain(Planner &planner, const Chain &chain) {
    if (chain.rope && chain.write) return plan_rope_write(planner, *chain.rope, *chain.write);
    if (chain.rope) plan_rope(planner, *chain.rope);
    if (chain.write) plan_kv_write(planner, *chain.write);
}

// Those of one type together.
void plan_all_products(Planner &planner, const QkvChains &chains) {
    std::map<rz_dtype, std::vector<Product>> by_type;
    for (const Chain &chain : chains.chain)
        by_type[planner.region().input(*chain.matmul, 0).dtype].push_back(
            {chain.matmul, chain.addend,
             chain.add ? chain.add->outputs[0] : chain.matmul->outputs[0]});
    for (const auto &[type, products] : by_type)
        plan_products(planner, products);
}

Operands operands_of(Planner &planner, const QkvChains &chains,
                     const std::optional<Rotation> &rotation) {
    const auto &[q, k, v] = chains.chain;
    Operands o;
    for (size_t i = 0; i < 3; ++i) {
        const Chain &chain = chains.chain[i];
        if (chain.add) o.bias[i] = planner.view(chain.addend);
        o.rows[i] = planner.view(chain.matmul->outputs[0]).max_inner();
    }
    o.rotation = rotation;
    o.k = planner.view(k.write->inputs[0]);
    o.v = planner.view(v.write->inputs[0]);
    o.cells = planner.view(k.write->inputs[2]);
    o.y = planner.view(q.last().outputs[0]);
    return o;
}

std::vector<View> touches_of(const Operands &o, const Single &single) {
    std::vector<View> touches = {o.k, o.v, o.cells, o.y};
    single.add_touches(touches);
    for (const auto &bias : o.bias)
        if (bias) touches.push_back(*bias);
    if (o.rotation) touches.push_back(o.rotation->angles);
    return touches;
}

} // namespace

void plan_qkv(Planner &planner, const std::vector<uint32_t> &nodes) {
    const QkvChains chains = plugin::qkv_chains(planner.region(), nodes);
    const auto &all = chains.chain;
    const uint32_t tensor = all[0].matmul->inputs[1];
    const View x = planner.view(tensor);
    // Angles are shared with other steps, so they are made in either case.
    std::optional<Rotation> rotation;
    if (all[0].rope) rotation = plan_rotation(planner, *all[0].rope);
    const bool joined = planner.fits_single(x);
    if (joined) planner.set_not_single(x);
    plan_all_products(planner, chains);
    for (const Chain &chain : all)
        plan_chain(planner, chain);
    planner.set_not_single(std::nullopt);
    if (!joined) return;
    const Operands o = operands_of(planner, chains, rotation);
    uint32_t first = 0;
    for (uint32_t begin = 0, end; begin < 3; begin = end) {
        const Matrix matrix = planner.matrix(all[begin].matmul->inputs[0]);
        uint32_t count = 0;
        for (end = begin; end < 3; ++end) {
            const Matrix next = planner.matrix(all[end].matmul->inputs[0]);
            if (end > begin && !matrix.is_before(next, count)) break;
            count += o.rows[end];
        }
        const Single single(planner, matrix, tensor);
        planner.add({touches_of(o, single), [=](Recorder &r) {
                         if (x.rows(r.symbols) == 1) launch(r, o, single, first, count);
                     }});
        first += count;
    }
}

} // namespace realizar::opencl
