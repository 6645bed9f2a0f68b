// That the validation layer is awake: a misuse on purpose must be reported.
#include "backend.h"

#include "plugins/vulkan/device.h"

namespace realizar::vulkan::test {
namespace {

TEST(Validation, ReportsMisuse) {
    Backend backend;
    RZ_REQUIRE_OPENED(backend);
    backend.host.expect_errors = true;
    Gpu &gpu = backend.device->gpu;
    const Memory memory = gpu.memory().allocate(Heap::device, 64);
    try {
        gpu.run([&](VkCommandBuffer commands) {
            // The size must be a multiple of 4.
            gpu.vk().vkCmdFillBuffer(commands, memory.buffer(), memory.offset(), 3, 0);
        });
        FAIL() << "the submission went through";
    } catch (const Failure &failure) {
        EXPECT_EQ(failure.code, RZ_INTERNAL);
    }
    EXPECT_GT(backend.host.errors, 0);
}

} // namespace
} // namespace realizar::vulkan::test
