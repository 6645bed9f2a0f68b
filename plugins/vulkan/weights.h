// The weights of a model on the device. Quantised ones are packed into planes while they load;
// matrices that multiply the same operand (Q, K and V; gate and up) lie one behind the other as rows
// of one packed matrix.
#pragma once

#include "plugins/common/region.h"
#include "plugins/vulkan/device.h"
#include "plugins/vulkan/plan/plane_type.h"

#include <map>

namespace realizar::vulkan {

// Memory of one weight, or of several that share planes.
struct PackedMatrix {
    const PlaneType *type = nullptr; // null: rows as they are
    uint64_t blocks = 0;             // bytes if they stay as they are
    uint64_t inner = 0;              // elements of a row
    PlaneLayout layout{{}, 0};
    Memory memory;
    Memory half; // a copy in F16, rows of whole kHalfDepth elements (half_weights.h); or none

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

// Staging memory in two halves: the host fills one while the device reads the other.
class Uploader {
  public:
    explicit Uploader(Gpu &gpu);
    ~Uploader();
    Uploader(const Uploader &) = delete;
    Uploader &operator=(const Uploader &) = delete;

    static constexpr uint64_t kHalf = uint64_t{16} << 20;

    // `size` bytes of `data` (at most kHalf) to the blocks from `block` on.
    void load(const PackedMatrix &matrix, uint64_t block, const void *data, uint64_t size);
    void wait();

  private:
    struct Half {
        std::unique_ptr<Commands> commands;
        Memory memory;
        uint64_t value = 0; // of its last submission
    };
    Gpu &gpu_;
    Progress progress_;
    Half halves_[2];
    uint64_t value_ = 0;
};

} // namespace realizar::vulkan

struct rz_weights {
    // Where a quantised weight's tensor (a whole weight or a view) lies.
    realizar::vulkan::Planes planes(uint64_t key, const realizar::plugin::Tensor &t) const;
    // Address of its rows in F16; 0: there is no copy.
    uint64_t half_rows(uint64_t key, const realizar::plugin::Tensor &t) const;

    rz_device &device;
    uint64_t budget;                                        // 0: none
    std::map<uint64_t, realizar::vulkan::Weight> weights{}; // by key
    std::vector<realizar::vulkan::PackedMatrix> matrices{};
    std::unique_ptr<realizar::vulkan::Uploader> uploader{}; // while loading
    bool finished = false;
    std::mutex half_mutex{}; // of the copies in F16, which programs make
};

namespace realizar::vulkan {
extern const rz_weights_api kWeightsApi;
} // namespace realizar::vulkan
