// MATMULs of one x that become Q, K and V: for a single token in one dispatch for each run of rows that
// lie together, with bias, ROPE and KV_WRITE (shaders/matvec_qkv.comp); else step by step.
#include "plugins/vulkan/ops/qkv.h"

#include "plugins/common/qkv.h"
#include "plugins/vulkan/ops/matmul_single.h"

#include <cstring>
#include <optional>

namespace realizar::vulkan {

namespace {

using plugin::Chain;

struct Operands {
    std::optional<View> bias[3];
    std::optional<View> angles;
    View k, v, cells, y;
    View table; // of the addresses of the biases
    uint32_t rows_q = 0, rows_k = 0, rows_v = 0;
    std::vector<uint32_t> constants; // of the kernel, but for the last one

    bool has_bias() const { return bias[0] || bias[1] || bias[2]; }
};

class QkvStep : public Step {
  public:
    // The parts from `begin` to `end` (of 3), whose rows are those of `single`.
    QkvStep(const Operands &o, const Single &single, const View &x, uint32_t begin, uint32_t end)
        : o_(o), single_(single), x_(x), first_(row_of(begin)), rows_(row_of(end) - first_) {
        reads(x);
        single_.add_reads(*this);
        reads(o.table);
        reads(o.cells);
        if (o.angles) reads(*o.angles);
        const View *const results[] = {&o.y, &o.k, &o.v};
        for (uint32_t part = begin; part < end; ++part) {
            if (o.bias[part]) reads(*o.bias[part]);
            writes(*results[part]);
        }
    }

    void record(Recorder &r) const override {
        if (!runs_single(x_, r.symbols)) return;
        const Single::Qkv operands = {r.address(o_.y),
                                      o_.has_bias() ? r.address(o_.table) : 0,
                                      o_.angles ? r.address(*o_.angles) : 0,
                                      r.address(o_.cells),
                                      r.address(o_.k),
                                      r.address(o_.v)};
        std::vector<uint32_t> constants = o_.constants;
        constants.push_back(first_);
        single_.dispatch_qkv(r, operands, rows_, constants);
    }

    void fill_table(std::span<const Place> places) const override {
        uint64_t biases[3] = {};
        for (size_t i = 0; i < 3; ++i)
            if (const auto &bias = o_.bias[i])
                biases[i] = places[bias->storage()].address + bias->offset();
        std::memcpy(places[o_.table.storage()].host, biases, sizeof(biases));
    }

  private:
    uint32_t row_of(uint32_t part) const {
        const uint32_t rows[] = {o_.rows_q, o_.rows_k, o_.rows_v};
        uint32_t sum = 0;
        for (uint32_t i = 0; i < part; ++i)
            sum += rows[i];
        return sum;
    }

    Operands o_;
    Single single_;
    View x_;
    uint32_t first_, rows_;
};

void plan_chain(Planner &planner, const Chain &chain) {
    if (chain.add)
        plan_matmul_add(planner, *chain.matmul, chain.addend, chain.add->outputs[0]);
    else
        plan_matmul(planner, *chain.matmul);
    if (chain.rope && chain.write) return plan_rope_write(planner, *chain.rope, *chain.write);
    if (chain.rope) plan_rope(planner, *chain.rope);
    if (chain.write) plan_kv_write(planner, *chain.write);
}

Operands operands_of(Planner &planner, const Chain (&chains)[3],
                     const std::optional<Rotation> &rotation) {
    const auto rows = [&](const Chain &chain) {
        return planner.view(chain.matmul->outputs[0]).max_inner();
    };
    Operands o;
    for (uint32_t i = 0; i < 3; ++i)
        if (chains[i].add) o.bias[i] = planner.view(chains[i].addend);
    if (rotation) o.angles = rotation->angles;
    o.k = planner.view(chains[1].write->inputs[0]);
    o.v = planner.view(chains[2].write->inputs[0]);
    o.cells = planner.view(chains[1].write->inputs[2]);
    o.y = planner.view(chains[0].last().outputs[0]);
    o.rows_q = rows(chains[0]);
    o.rows_k = rows(chains[1]);
    o.rows_v = rows(chains[2]);
    o.table = planner.table(3 * sizeof(uint64_t));
    o.constants = {o.rows_q,
                   o.rows_k,
                   o.k.max_inner(),
                   o.v.max_inner(),
                   rotation ? rotation->pairs : 0,
                   rotation && rotation->halves ? 1u : 0u,
                   o.has_bias() ? 1u : 0u,
                   o.k.max_size(1),
                   o.k.stride(1),
                   o.k.stride(2),
                   o.v.stride(1),
                   o.v.stride(2)};
    return o;
}

} // namespace

void plan_qkv(Planner &planner, const std::vector<uint32_t> &nodes) {
    const plugin::QkvChains group = plugin::qkv_chains(planner.region(), nodes);
    const auto &chains = group.chain;
    const uint32_t x = chains[0].matmul->inputs[1];
    const View view = planner.view(x);
    // Angles are shared with other steps, so they are made in either case.
    std::optional<Rotation> rotation;
    if (chains[0].rope) rotation = plan_rotation(planner, *chains[0].rope);
    const bool joined = fits_single(view) && planner.features().qkv;
    if (joined) planner.set_not_single(view);
    for (const Chain &chain : chains)
        plan_chain(planner, chain);
    planner.set_not_single(std::nullopt);
    if (!joined) return;
    const Operands o = operands_of(planner, chains, rotation);
    const uint32_t rows[] = {o.rows_q, o.rows_k, o.rows_v};
    for (uint32_t begin = 0, end; begin < 3; begin = end) {
        const Matrix first = planner.matrix(chains[begin].matmul->inputs[0]);
        uint64_t n = 0;
        for (end = begin; end < 3; ++end) {
            const Matrix next = planner.matrix(chains[end].matmul->inputs[0]);
            if (end > begin && !adjacent(first, next, n)) break;
            n += rows[end];
        }
        planner.add(std::make_unique<QkvStep>(o, Single(first, view, planner.find_norm(x)), view,
                                              begin, end));
    }
}

} // namespace realizar::vulkan
