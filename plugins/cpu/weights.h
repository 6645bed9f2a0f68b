// The weights of a model. Kernels read the canonical layout of every type, so weights that stay
// mapped are used in place; others are copied once. Prompts repack panels of rows on the fly
// (kernels/gemm.h), which costs a few percent of the work and no memory.
#pragma once

#include "plugins/cpu/device.h"
#include "plugins/cpu/support.h"

#include <map>

namespace realizar::cpu {

struct Weight {
    std::string name;
    rz_dtype dtype;
    std::vector<int64_t> dims;
    uint64_t rows;
    uint64_t row_bytes;

    const std::byte *data = nullptr; // the source's bytes, or `copy`
    Memory copy;
    uint64_t loaded = 0; // rows
};

} // namespace realizar::cpu

struct rz_weights {
    rz_device &device;
    uint64_t budget;                                     // 0: none
    std::map<uint64_t, realizar::cpu::Weight> weights{}; // by key
    uint64_t resident = 0;
    bool finished = false;
};

namespace realizar::cpu {
extern const rz_weights_api kWeightsApi;
} // namespace realizar::cpu
