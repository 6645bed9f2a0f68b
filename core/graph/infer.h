// Shape inference and contract checks, one function per operator, in one table.
#pragma once

#include "core/common/result.h"
#include "realizar/backend.h"

#include <span>
#include <vector>

namespace realizar {

struct InferredOutput {
    rz_dtype dtype;
    uint64_t dtypes; // RZ_DTYPE_BIT mask of what the output may be instead (COPY: the node chooses)
    uint32_t rank;
    int64_t dims[RZ_MAX_RANK];
    bool aliases_input0; // the output is input 0 itself, a STATE
};

// Operands are pointers into the graph's tensors, nullptr for an absent optional input.
// Errors name the op and the operand and say what was expected and found: Code::unsupported for an
// op, version or attribute value that this build does not know, else Code::invalid_argument.
// The tensors themselves are well-formed (validate_graph).
Result<std::vector<InferredOutput>> infer_outputs(uint32_t op, uint32_t version,
                                                  std::span<const rz_tensor *const> inputs,
                                                  const void *attributes, uint64_t attributes_size);

// "MATMUL"; "unknown op" for a number that is none.
const char *op_name(uint32_t op);

} // namespace realizar
