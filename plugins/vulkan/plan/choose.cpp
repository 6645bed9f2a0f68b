#include "plugins/vulkan/plan/choose.h"

#include "plugins/vulkan/half_weights.h"
#include "plugins/vulkan/vk/pipelines.h"

#include <algorithm>
#include <bit>
#include <iterator>

namespace realizar::vulkan {

MatmulForm choose_matmul(const Features &features, rz_dtype dtype, uint32_t k, uint32_t rows) {
    constexpr uint32_t kMostRows = 1 << 20; // keeps the grid below its limit
    if (rows <= kMatvecRows) return MatmulForm::matvec;
    const bool half = dtype == RZ_DTYPE_F16 && k % 8 == 0; // rows of whole 16 bytes
    const bool fits = (half || plane_type(dtype)) && k > 0 && rows <= kMostRows;
    static const bool built = Pipelines::has("matmul_coopmat_f16_64");
    const bool runs = (features.coopmat_khr && built) || features.half_plain;
    return runs && fits ? MatmulForm::coopmat : MatmulForm::tile;
}

bool makes_half_rows(const Features &features, uint32_t k, uint32_t rows) {
    return choose_matmul(features, RZ_DTYPE_Q8_0, k, rows) == MatmulForm::coopmat;
}

uint32_t choose_coopmat_tile(uint32_t n, uint32_t rows) {
    constexpr uint64_t kWorkgroups = 96; // fewer leave many multiprocessors of a large GPU idle
    const uint64_t large = ((uint64_t{n} + 127) / 128) * ((uint64_t{rows} + 127) / 128);
    return large >= kWorkgroups ? 128 : 64;
}

uint32_t HalfTile::block(uint32_t stride) const {
    uint32_t slices = unroll;
    while (stride % (slices * kHalfDepth) != 0)
        slices /= 2;
    return slices * kHalfDepth;
}

const HalfTile &choose_half_tile(uint32_t cores, uint32_t n, uint32_t rows) {
    // Times in units of 10 ns, as measured on an H200. The registers of a large tile leave a core room for
    // one workgroup, so that it works in rounds: `each` is `alone`.
    static constexpr HalfTile kHalfTiles[] = {
        {"matmul_half_256x128", 256, 128, 210, 210, 4},
        {"matmul_half_128x128", 128, 128, 112, 112, 8},
        {"matmul_half_64x64", 64, 64, 88, 51, 8},
    };
    const auto time = [&](const HalfTile &tile) {
        const uint64_t groups =
            uint64_t{(n + tile.n - 1) / tile.n} * ((rows + tile.t - 1) / tile.t);
        if (tile.each == tile.alone) return (groups + cores - 1) / cores * tile.alone;
        return std::max<uint64_t>(tile.alone, groups * tile.each / cores);
    };
    return *std::min_element(std::begin(kHalfTiles), std::end(kHalfTiles),
                             [&](const auto &a, const auto &b) { return time(a) < time(b); });
}

uint32_t choose_splits(uint32_t tokens, uint32_t heads, uint64_t keys) {
    // One chunk of the kernel for each part; two are as fast as joining parts.
    constexpr uint64_t kKeysOfSplit = 64, kWorkgroups = 1024;
    if (tokens == 0 || tokens > kAttentionSplitTokens || keys <= 2 * kKeysOfSplit) return 1;
    const uint64_t wanted = std::max<uint64_t>(1, kWorkgroups / (uint64_t{tokens} * heads));
    const uint64_t useful = std::max<uint64_t>(1, keys / kKeysOfSplit);
    return static_cast<uint32_t>(std::min<uint64_t>({wanted, useful, uint64_t{kAttentionSplits}}));
}

uint32_t choose_decode_splits(uint32_t tokens, uint32_t groups, uint64_t keys,
                              const Tuning &tuning) {
    // Joining parts costs as much as some blocks of keys, one after the other.
    constexpr uint64_t kKeysOfSplit = 64, kKeysOfOne = 256;
    if (groups == 0 || keys <= kKeysOfOne) return 1;
    const uint64_t wanted = tuning.attention_groups / groups, useful = keys / kKeysOfSplit;
    const uint64_t most = std::min(kDecodeSplits, kDecodeParts / tokens);
    return static_cast<uint32_t>(std::max<uint64_t>(1, std::min({wanted, useful, most})));
}

int64_t key_bucket(int64_t keys, int64_t most) {
    constexpr int64_t kLeast = 128;
    const auto wanted = std::bit_ceil(static_cast<uint64_t>(std::max(keys, kLeast)));
    return std::min(static_cast<int64_t>(wanted), most);
}

} // namespace realizar::vulkan
