// GET_ROWS: rows of a table, dequantised.
#include "plugins/cpu/ops/lent.h"
#include "plugins/cpu/ops/packed.h"

#include <cstring>

namespace realizar::cpu {

namespace {

class GetRowsStep : public RowStep {
  public:
    GetRowsStep(const View &table, const RowDecoder &decode, const View &ids, const View &y)
        : RowStep(y, 300), table_(table), ids_(ids), decode_(decode) {
        reads(table, false);
        reads(ids, false);
        writes(y);
    }

  private:
    void run_row(const Run &run, int64_t step, int64_t row, unsigned) const override {
        const int32_t id = ids_.row<int32_t>(run, 0)[step];
        float *y = rows.row(run, step, row);
        const auto n = static_cast<uint64_t>(rows.elements(run));
        if (id < 0 || id >= table_.steps(run))
            std::memset(y, 0, n * sizeof(float));
        else
            decode_(run, table_.row<uint8_t>(run, id), y, n);
    }

    View table_, ids_;
    RowDecoder decode_;
};

void plan(Planner &planner, const Node &node) {
    if (planner.packed(node.inputs[0])) return plan_packed_rows(planner, node);
    planner.add(std::make_unique<GetRowsStep>(
        planner.view(node.inputs[0]), RowDecoder(planner, planner.region().input(node, 0).dtype),
        planner.view(node.inputs[1]), planner.view(node.outputs[0])));
}

} // namespace

const Op kGetRows = {RZ_OP_GET_ROWS, false, plan};

} // namespace realizar::cpu
