// Helpers for the operator tests: operands in all layouts, and the case that judges a region.
#pragma once

#include "tools/ctk/discover.h"
#include "tools/ctk/judge.h"

#include <functional>
#include <string>

namespace realizar::ctk {

// How an operand lies in its storage.
enum class Layout {
    dense,
    columns, // a slice of wider rows: outer strides are larger than the row
    split,   // rank 3: the innermost dimension of wider rows, split in two
};
inline constexpr Layout kLayouts[] = {Layout::dense, Layout::columns, Layout::split};
const char *layout_name(Layout layout);

// An F32 (or other plain) INPUT of this shape in this layout. Where a layout needs more dimensions
// than the shape has, it falls back to columns.
TensorId operand(GraphBuilder &builder, const std::string &name, const Shape &shape, Layout layout,
                 DType dtype = DType::F32);

// Adds a test that makes a region of claimed nodes and judges it.
using MakeRegion = std::function<Result<Region>(Random &)>;
void add_operator_case(CaseList &cases, const std::string &suite, const std::string &type,
                       const std::string &name, MakeRegion make);

// Steps with the values of one symbol: the smallest, some between, the largest, the first again.
std::vector<Step> steps_for(int64_t min, int64_t max);

// Random integers in [low, high].
std::vector<int32_t> random_integers(Random &random, int64_t count, int64_t low, int64_t high);
// 0, 1, 2, ... in random order.
std::vector<int32_t> random_permutation(Random &random, int64_t count);

// Element types of RZ_DTYPES whose bit is set and that the kit can make and read.
std::vector<DType> claimed_types(const Offer &offer, uint32_t op);

// One function per family; each adds the tests of what the offer claims.
void add_row_cases(const Offer &offer, CaseList &cases); // GET_ROWS, MATMUL
void add_elementwise_cases(const Offer &offer,
                           CaseList &cases);              // ADD, MUL, SCALE, UNARY, GLU, COPY
void add_norm_cases(const Offer &offer, CaseList &cases); // RMS_NORM, LAYER_NORM, SOFTMAX
void add_rope_cases(const Offer &offer, CaseList &cases);
void add_select_cases(const Offer &offer, CaseList &cases); // ARGMAX, TOP_K
void add_sample_cases(const Offer &offer, CaseList &cases);
void add_kv_write_cases(const Offer &offer, CaseList &cases);
void add_attention_cases(const Offer &offer, CaseList &cases);
void add_expert_cases(const Offer &offer, CaseList &cases); // ROUTE to WEIGHTED_SUM, CLAMP, CONCAT
void add_recurrent_cases(const Offer &offer, CaseList &cases); // SSM_CONV, SSM_SCAN

} // namespace realizar::ctk
