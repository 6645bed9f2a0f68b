// Positions 100 thousand back on Vulkan.
#include "tests/engine/long_context.h"

namespace realizar {
namespace {

using test::LongContext;

TEST_F(LongContext, NeedlesAreSeenOnVulkan) {
    RZ_REQUIRE_BACKEND("vulkan");
    expect_needles("vulkan", 100'352);
}

} // namespace
} // namespace realizar
