#include "plugins/vulkan/vk/settings.h"

#include "plugins/vulkan/vk/failure.h"

#include <cstdlib>
#include <sstream>

namespace realizar::vulkan {

namespace {

std::string environment(const char *name) {
    const char *value = std::getenv(name);
    return value ? value : "";
}

void read_disabled(Settings &out) {
    const struct {
        const char *name;
        bool *value;
    } features[] = {{"fp16", &out.fp16},
                    {"int_dot", &out.int_dot},
                    {"coopmat", &out.coopmat},
                    {"host_memory", &out.host_memory}};
    std::istringstream words(out.disabled);
    for (std::string word; std::getline(words, word, ',');) {
        bool known = word.empty();
        for (const auto &feature : features)
            if (word == feature.name) {
                *feature.value = false;
                known = true;
            }
        if (!known)
            raise(RZ_INVALID_ARGUMENT,
                  "REALIZAR_VULKAN_DISABLE: expected fp16, int_dot, coopmat or host_memory, "
                  "found '%s'",
                  word.c_str());
    }
}

void read_fail(const std::string &text, Settings &out) {
    if (text.empty()) return;
    const size_t colon = text.find(':');
    const std::string what = text.substr(0, colon);
    const uint64_t count =
        colon == std::string::npos ? 0 : std::strtoull(text.c_str() + colon + 1, nullptr, 10);
    if (text == "calls") return; // only by the extension x-realizar.fault/1
    if (what == "alloc" && count)
        out.fail_allocation = count;
    else if (what == "submit" && count)
        out.fail_submission = count;
    else
        raise(RZ_INVALID_ARGUMENT,
              "REALIZAR_VULKAN_FAIL: expected alloc:N, submit:N (N above 0) or calls, found '%s'",
              text.c_str());
}

} // namespace

Settings read_settings() {
    Settings settings;
    settings.disabled = environment("REALIZAR_VULKAN_DISABLE");
    read_disabled(settings);
    settings.validate = environment("REALIZAR_VULKAN_VALIDATE") == "1";
    read_fail(environment("REALIZAR_VULKAN_FAIL"), settings);
    return settings;
}

} // namespace realizar::vulkan
