#include "plugins/vulkan/plan/choose.h"

#include <algorithm>
#include <bit>

namespace realizar::vulkan {

MatmulForm choose_matmul(const Features &, const PlaneType *, uint32_t, uint32_t, uint32_t rows) {
    return rows <= kMatvecRows ? MatmulForm::matvec : MatmulForm::tile;
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
