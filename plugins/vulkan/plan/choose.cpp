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

const HalfTile &choose_half_tile(const Features &features, uint32_t cores, uint32_t n,
                                 uint32_t rows, uint32_t forced) {
    static constexpr HalfTile kHalfTiles[] = {
        {"matmul_half_nv_256x128", 256, 128, 125, true},
        {"matmul_half_nv_128x128", 128, 128, 105, true},
        {"matmul_half_nv_128x64", 128, 64, 80, true},
        {"matmul_half_nv_64x64", 64, 64, 60, true},
        {"matmul_half_nv_256x128_8", 256, 128, 0, true},
        {"matmul_half_nv_128x128_8", 128, 128, 0, true},
        {"matmul_half_nv_128x128_4", 128, 128, 0, true},
        {"matmul_half_nv_128x64_2", 128, 64, 0, true},
        {"matmul_half_nv_128x128_32", 128, 128, 0, true},
        {"matmul_half_nv_128x128_128", 128, 128, 0, true},
        {"matmul_half_nv_256x64", 256, 64, 0, true},
        {"matmul_half_nv_64x128", 64, 128, 0, true},
        {"matmul_half_nv_128x128_a", 128, 128, 0, true},
        {"matmul_half_nv_256x128_a", 256, 128, 0, true},
        {"matmul_half_128x128_8", 128, 128, 100, false},
        {"matmul_half_64x64", 64, 64, 60, false},
        {"matmul_half_128x256", 128, 256, 0, false},
        {"matmul_half_256x128_16", 256, 128, 0, false},
    };
    constexpr uint32_t kCount = sizeof(kHalfTiles) / sizeof(kHalfTiles[0]);
    const bool runs =
        forced > 0 && forced <= kCount && (features.coopmat_nv || !kHalfTiles[forced - 1].nv);
    if (runs) return kHalfTiles[forced - 1];
    const HalfTile *best = nullptr;
    uint64_t least = UINT64_MAX;
    for (const HalfTile &tile : kHalfTiles) {
        if (tile.nv != features.coopmat_nv || tile.speed == 0) continue;
        const uint64_t groups =
            uint64_t{(n + tile.n - 1) / tile.n} * ((rows + tile.t - 1) / tile.t);
        const uint64_t waves = (groups + cores - 1) / cores;
        const uint64_t time = waves * tile.n * tile.t * 256 / tile.speed;
        if (time >= least) continue;
        least = time;
        best = &tile;
    }
    return *best;
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
    constexpr uint64_t kKeysOfSplit = 32; // a workgroup's keys in flight
    if (groups == 0) return 1;
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
