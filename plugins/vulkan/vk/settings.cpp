#include "plugins/vulkan/vk/settings.h"

#include "plugins/vulkan/vk/failure.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
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
                    {"coopmat2", &out.coopmat_nv},
                    {"half_weights", &out.half_weights},
                    {"host_memory", &out.host_memory},
                    {"decode_attention", &out.decode_attention},
                    {"qkv", &out.qkv},
                    {"chain", &out.chain}};
    std::istringstream words(out.disabled);
    for (std::string word; std::getline(words, word, ',');) {
        bool known = word.empty();
        for (const auto &feature : features)
            if (word == feature.name) {
                *feature.value = false;
                known = true;
            }
        if (!known)
            raise(
                RZ_INVALID_ARGUMENT,
                "REALIZAR_VULKAN_DISABLE: expected fp16, int_dot, coopmat, coopmat2, half_weights, "
                "host_memory, decode_attention, qkv or chain, found '%s'",
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
    else if (what == "chain" && count)
        out.fail_chain = count;
    else
        raise(RZ_INVALID_ARGUMENT,
              "REALIZAR_VULKAN_FAIL: expected alloc:N, submit:N, chain:N (N above 0) or calls, "
              "found '%s'",
              text.c_str());
}

void read_tuning(const std::string &text, Tuning &out) {
    const struct {
        const char *name;
        uint32_t *value;
    } figures[] = {{"matvec_groups", &out.matvec_groups},
                   {"matvec_batch", &out.matvec_batch},
                   {"matvec_split", &out.matvec_split},
                   {"matvec_several", &out.matvec_several},
                   {"attention_groups", &out.attention_groups},
                   {"attention_batch", &out.attention_batch},
                   {"half_plain", &out.half_plain},
                   {"chain", &out.chain}};
    constexpr unsigned long kMost = 65535; // a dimension of a grid
    std::istringstream words(text);
    for (std::string word; std::getline(words, word, ',');) {
        const size_t colon = std::min(word.find(':'), word.size());
        const std::string number = word.substr(std::min(colon + 1, word.size()));
        const unsigned long value = std::strtoul(number.c_str(), nullptr, 10);
        const auto *found =
            std::find_if(std::begin(figures), std::end(figures),
                         [&](const auto &figure) { return word.substr(0, colon) == figure.name; });
        if (found == std::end(figures) || value == 0 || value > kMost)
            raise(RZ_INVALID_ARGUMENT,
                  "REALIZAR_VULKAN_TUNE: expected matvec_groups, matvec_batch, matvec_split, "
                  "matvec_several, "
                  "attention_groups, attention_batch, half_plain or chain, a colon and 1 to "
                  "%lu, found '%s'",
                  kMost, word.c_str());
        *found->value = static_cast<uint32_t>(value);
    }
}

void read_profile(const std::string &text, Settings &out) {
    out.race = text == "race";
    out.profile = text == "1" || out.race;
    if (!text.empty() && text != "0" && !out.profile)
        raise(RZ_INVALID_ARGUMENT, "REALIZAR_VULKAN_PROFILE: expected 1 or race, found '%s'",
              text.c_str());
}

} // namespace

Settings read_settings() {
    Settings settings;
    settings.disabled = environment("REALIZAR_VULKAN_DISABLE");
    read_disabled(settings);
    read_tuning(environment("REALIZAR_VULKAN_TUNE"), settings.tuning);
    read_profile(environment("REALIZAR_VULKAN_PROFILE"), settings);
    settings.validate = environment("REALIZAR_VULKAN_VALIDATE") == "1";
    read_fail(environment("REALIZAR_VULKAN_FAIL"), settings);
    return settings;
}

} // namespace realizar::vulkan
