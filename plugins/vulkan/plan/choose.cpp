#include "plugins/vulkan/plan/choose.h"

#include <algorithm>
#include <bit>

namespace realizar::vulkan {

MatmulForm choose_matmul(const Features &, const PlaneType *, uint32_t, uint32_t, uint32_t rows) {
    return rows <= kMatvecRows ? MatmulForm::matvec : MatmulForm::tile;
}

uint32_t choose_splits(uint32_t tokens, uint32_t heads, uint64_t keys) {
    constexpr uint64_t kKeysOfSplit = 256, kWorkgroups = 256;
    if (tokens == 0 || tokens > kAttentionSplitTokens) return 1;
    const uint64_t wanted = std::max<uint64_t>(1, kWorkgroups / (uint64_t{tokens} * heads));
    const uint64_t useful = std::max<uint64_t>(1, keys / kKeysOfSplit);
    return static_cast<uint32_t>(std::min<uint64_t>({wanted, useful, uint64_t{kAttentionSplits}}));
}

int64_t key_bucket(int64_t keys, int64_t most) {
    constexpr int64_t kLeast = 256;
    const auto wanted = std::bit_ceil(static_cast<uint64_t>(std::max(keys, kLeast)));
    return std::min(static_cast<int64_t>(wanted), most);
}

} // namespace realizar::vulkan
