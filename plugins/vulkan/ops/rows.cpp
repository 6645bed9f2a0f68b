// GET_ROWS, KV_WRITE, COPY: rows from one place and type to another.
#include "plugins/vulkan/ops/op.h"
#include "plugins/vulkan/ops/rotated_cache.h"

#include <optional>

namespace realizar::vulkan {

namespace {

class GetRowsStep : public Step {
  public:
    GetRowsStep(const Matrix &table, const View &ids, const View &y)
        : table_(table), ids_(ids), y_(y) {
        table.add_reads(*this);
        reads(ids);
        writes(y);
    }

    void record(Recorder &r) const override {
        const uint32_t tokens = ids_.inner(r.symbols), inner = y_.max_inner();
        const GetRowsParams p = {
            table_.resolve(r),          r.address(ids_), r.address(y_), inner, tokens,
            table_.view.rows(r.symbols)};
        if (table_.type)
            r.dispatch(std::string("get_rows_") + table_.type->suffix, {}, p,
                       {groups_for(uint64_t{tokens} * inner / 8, 256)});
        else
            r.dispatch("get_rows_plain", {table_.view.dtype()}, p,
                       {groups_for(uint64_t{tokens} * inner, 256)});
    }

  private:
    Matrix table_;
    View ids_, y_;
};

class KvWriteStep : public Step {
  public:
    KvWriteStep(const View &cache, const View &x, const View &cells,
                std::optional<Rotation> rotation = std::nullopt)
        : cache_(cache), x_(x), cells_(cells), rotation_(rotation) {
        reads(x);
        if (rotation) reads(rotation->angles);
        reads(cells);
        writes(cache);
    }

    void record(Recorder &r) const override {
        const uint32_t tokens = cells_.inner(r.symbols), inner = x_.max_inner();
        Rows rows = r.rows(x_); // [T, H] as [T, 1, H]
        rows.s0 = x_.stride(1);
        const KvWriteParams p = {rows,
                                 r.address(cells_),
                                 r.address(cache_),
                                 x_.n2(),
                                 inner,
                                 tokens,
                                 cache_.max_size(1),
                                 cache_.stride(1),
                                 cache_.stride(2),
                                 rotation_ ? rotation_->pairs : 0,
                                 rotation_ && rotation_->halves ? 1u : 0u,
                                 rotation_ ? r.address(rotation_->angles) : 0};
        if (cache_.dtype() == RZ_DTYPE_Q4_0) {
            const uint32_t run = rotated_run(inner);
            r.dispatch("kv_write_rotated", {run, rotation_ ? 1u : 0u}, p,
                       {groups_for(uint64_t{tokens} * x_.n2() * inner / run, 64)});
            return;
        }
        const bool four = cache_.dtype() == RZ_DTYPE_F16 && in_fours(rows, inner) &&
                          (!rotation_ || rotation_->in_fours()) && p.cache % 8 == 0 &&
                          (p.cell_stride | p.head_stride) % 4 == 0;
        const uint32_t piece = cache_.dtype() == RZ_DTYPE_Q8_0 ? 32 : four ? 4 : 1;
        r.dispatch("kv_write", {cache_.dtype(), rotation_ ? 1u : 0u, four ? 1u : 0u}, p,
                   {groups_for(uint64_t{tokens} * x_.n2() * inner / piece, 256)});
    }

  private:
    View cache_, x_, cells_;
    std::optional<Rotation> rotation_;
};

class CopyStep : public Step {
  public:
    CopyStep(const View &x, const View &y) : x_(x), y_(y) {
        reads(x);
        writes(y);
    }

    void record(Recorder &r) const override {
        const uint32_t inner = x_.inner(r.symbols), total = x_.rows(r.symbols) * inner;
        const CopyParams p = {r.rows(x_), r.address(y_), x_.n1(), x_.n2(), inner, total};
        r.dispatch("copy", {x_.dtype(), y_.dtype()}, p, {groups_for(total, 256)});
    }

  private:
    View x_, y_;
};

} // namespace

void plan_get_rows(Planner &planner, const Node &node) {
    planner.add(std::make_unique<GetRowsStep>(planner.matrix(node.inputs[0]),
                                              planner.view(node.inputs[1]),
                                              planner.view(node.outputs[0])));
}

void plan_kv_write(Planner &planner, const Node &node) {
    planner.add(std::make_unique<KvWriteStep>(
        planner.view(node.inputs[0]), planner.view(node.inputs[1]), planner.view(node.inputs[2])));
}

void plan_rope_write(Planner &planner, const Node &rope, const Node &write) {
    const Rotation rotation = plan_rotation(planner, rope);
    planner.add(std::make_unique<KvWriteStep>(planner.view(write.inputs[0]),
                                              planner.view(rope.inputs[0]),
                                              planner.view(write.inputs[2]), rotation));
}

void plan_copy(Planner &planner, const Node &node) {
    planner.add(
        std::make_unique<CopyStep>(planner.view(node.inputs[0]), planner.view(node.outputs[0])));
}

} // namespace realizar::vulkan
