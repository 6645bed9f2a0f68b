// What the leak checker finds in the system's Vulkan libraries is theirs.
#define VISIBLE __attribute__((visibility("default")))
extern "C" VISIBLE const char *__lsan_default_suppressions();
extern "C" const char *__lsan_default_suppressions() {
    return "leak:libVkLayer_\nleak:libvulkan\nleak:libLLVM\n";
}
