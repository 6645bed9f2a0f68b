// GET_ROWS: rows of a table, dequantised.
#include "plugins/cpu/ops/op.h"

#include <cstring>

namespace realizar::cpu {

namespace {

class GetRowsStep : public RowStep {
  public:
    GetRowsStep(const View &table, WeightType type, const View &ids, const View &y)
        : RowStep(y, 300), table_(table), ids_(ids), type_(type) {
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
            run.kernels->decode[type_](table_.row<uint8_t>(run, id), y, n);
    }

    View table_, ids_;
    WeightType type_;
};

void check(const Region &region, const Node &node, Verdict &v) {
    const Tensor &table = region.input(node, 0), &ids = region.input(node, 1);
    const Tensor &y = region.output(node, 0);
    v.support(ids.dtype == RZ_DTYPE_I32 && y.dtype == RZ_DTYPE_F32, "ids I32 and output F32");
    v.require(table.rank == 2 && ids.rank == 1 && y.rank == 2 && same_dim(y, 0, ids, 0) &&
                  same_dim(y, 1, table, 1),
              "table [N, D], ids [T] -> [T, D]");
}

void plan(Planner &planner, const Node &node) {
    planner.add(std::make_unique<GetRowsStep>(
        planner.view(node.inputs[0]), weight_type(planner.region().input(node, 0).dtype),
        planner.view(node.inputs[1]), planner.view(node.outputs[0])));
}

} // namespace

const Op kGetRows = {RZ_OP_GET_ROWS, "GET_ROWS", 2, 2, 1, 0, kWeights, 0, false, check, plan};

} // namespace realizar::cpu
