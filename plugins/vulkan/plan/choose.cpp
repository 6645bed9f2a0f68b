#include "plugins/vulkan/plan/choose.h"

#include "plugins/vulkan/vk/pipelines.h"

#include <algorithm>
#include <bit>

namespace realizar::vulkan {

MatmulForm choose_matmul(const Features &features, rz_dtype dtype, uint32_t k, uint32_t rows) {
    constexpr uint32_t kMostRows = 1 << 20; // keeps the grid below its limit
    if (rows <= kMatvecRows) return MatmulForm::matvec;
    const bool half = dtype == RZ_DTYPE_F16 && k % 8 == 0; // rows of whole 16 bytes
    const bool fits = (half || plane_type(dtype)) && k > 0 && rows <= kMostRows;
    static const bool built = Pipelines::has("matmul_coopmat_f16_64");
    return features.coopmat_khr && built && fits ? MatmulForm::coopmat : MatmulForm::tile;
}

uint32_t choose_coopmat_tile(uint32_t n, uint32_t rows) {
    constexpr uint64_t kWorkgroups = 96; // fewer leave many multiprocessors of a large GPU idle
    const uint64_t large = ((uint64_t{n} + 127) / 128) * ((uint64_t{rows} + 127) / 128);
    return large >= kWorkgroups ? 128 : 64;
}

uint32_t choose_splits(uint32_t tokens, uint32_t heads, uint64_t keys) {
    // One chunk of the kernel for each part; two are as fast as joining parts.
    constexpr uint64_t kKeysOfSplit = 64, kWorkgroups = 1024;
    if (tokens == 0 || tokens > kAttentionSplitTokens || keys <= 2 * kKeysOfSplit) return 1;
    const uint64_t wanted = std::max<uint64_t>(1, kWorkgroups / (uint64_t{tokens} * heads));
    const uint64_t useful = std::max<uint64_t>(1, keys / kKeysOfSplit);
    return static_cast<uint32_t>(std::min<uint64_t>({wanted, useful, uint64_t{kAttentionSplits}}));
}

int64_t key_bucket(int64_t keys, int64_t most) {
    constexpr int64_t kLeast = 128;
    const auto wanted = std::bit_ceil(static_cast<uint64_t>(std::max(keys, kLeast)));
    return std::min(static_cast<int64_t>(wanted), most);
}

} // namespace realizar::vulkan
