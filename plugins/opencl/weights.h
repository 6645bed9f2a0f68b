// The weights of a model on the device. Quantised ones are packed into planes while they load;
// matrices that multiply the same operand (Q, K and V; gate and up) lie one behind the other as rows
// of one packed matrix.
#pragma once

#include "plugins/common/region.h"
#include "plugins/opencl/device.h"
#include "plugins/opencl/plan/plane_type.h"

#include <map>

namespace realizar::opencl {

using plugin::Node;
using plugin::Region;
using plugin::Tensor;

// Memory of one weight, or of several that share planes.
struct PackedMatrix {
    const PlaneType *type = nullptr; // null: rows as they are
    uint64_t blocks = 0;             // bytes if they stay as they are
    PlaneLayout layout;
    Memory memory;

    uint64_t bytes() const { return type ? layout.bytes : blocks; }
};

struct Weight {
    std::string name;
    rz_dtype dtype;
    std::vector<int64_t> dims;
    uint64_t rows;
    uint64_t row_bytes;
    uint32_t matrix = 0;      // index
    uint64_t first_block = 0; // in the matrix
    uint64_t loaded = 0;      // rows
};

// Brings canonical rows to the device and has them packed there.
class Uploader {
  public:
    explicit Uploader(Gpu &gpu) : gpu_(gpu), staging_(gpu.allocate(kBytes)) {}

    static constexpr uint64_t kBytes = uint64_t{16} << 20;

    // `size` bytes of `data` (at most kBytes) to the blocks from `block` on; `data` is free again on
    // return.
    void load(const PackedMatrix &matrix, uint64_t block, const void *data, uint64_t size);

  private:
    Gpu &gpu_;
    Memory staging_;
};

} // namespace realizar::opencl

struct rz_weights {
    // Where a quantised weight's tensor (a whole weight or a view) lies in its matrix' memory.
    realizar::opencl::Planes planes(uint64_t key, const realizar::plugin::Tensor &t) const;

    rz_device &device;
    uint64_t budget;                                        // 0: none
    std::map<uint64_t, realizar::opencl::Weight> weights{}; // by key
    std::vector<realizar::opencl::PackedMatrix> matrices{};
    std::unique_ptr<realizar::opencl::Uploader> uploader{}; // while loading
    bool finished = false;
};

namespace realizar::opencl {
extern const rz_weights_api kWeightsApi;
} // namespace realizar::opencl
