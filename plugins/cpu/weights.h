// The weights of a model. Those that are multiplied and have a packed layout (packed_layout.h) are
// packed as they come, into one block of memory with huge pages; the source is not read again. The
// others keep the canonical layout: in place when they stay mapped, else copied once.
#pragma once

#include "plugins/cpu/device.h"
#include "plugins/cpu/packed_layout.h"
#include "plugins/cpu/support.h"

#include <map>

namespace realizar::cpu {

struct Weight {
    std::string name;
    rz_dtype dtype;
    std::vector<int64_t> dims;
    uint64_t rows;
    uint64_t row_bytes;

    const PackedLayout *layout = nullptr; // null: canonical
    uint64_t packed_at = 0;               // offset in rz_weights::packed

    const std::byte *data = nullptr; // the source's bytes, `copy` or packed
    Memory copy;
    uint64_t loaded = 0; // rows
};

} // namespace realizar::cpu

struct rz_weights {
    rz_device &device;
    uint64_t budget;                                     // 0: none
    std::map<uint64_t, realizar::cpu::Weight> weights{}; // by key
    uint64_t resident = 0;
    realizar::cpu::Memory packed{};
    bool finished = false;
};

namespace realizar::cpu {
extern const rz_weights_api kWeightsApi;
} // namespace realizar::cpu
