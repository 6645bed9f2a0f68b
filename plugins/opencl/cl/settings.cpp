#include "plugins/opencl/cl/settings.h"

#include "plugins/opencl/cl/failure.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace realizar::opencl {

namespace {

std::string environment(const char *name) {
    const char *value = std::getenv(name);
    return value ? value : "";
}

void read_disabled(Settings &out) {
    const struct {
        const char *name;
        bool *value;
    } features[] = {{"dot", &out.dot}, {"ptx", &out.ptx}, {"mma", &out.mma}};
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
                  "REALIZAR_OPENCL_DISABLE: expected dot, ptx or mma, found '%s'", word.c_str());
    }
}

void read_tuning(const std::string &text, Tuning &out) {
    constexpr unsigned long kMost = 8;
    std::istringstream words(text);
    for (std::string word; std::getline(words, word, ',');) {
        const size_t colon = std::min(word.find(':'), word.size());
        const std::string name = word.substr(0, colon);
        const std::string number = word.substr(std::min(colon + 1, word.size()));
        const unsigned long value = std::strtoul(number.c_str(), nullptr, 10);
        const struct {
            const char *name;
            uint32_t *value;
        } figures[] = {{"matvec_rows", &out.matvec_rows},     {"matvec_batch", &out.matvec_batch},
                       {"single_batch", &out.single_batch},   {"single_groups", &out.single_groups},
                       {"decode_groups", &out.decode_groups}, {"decode_batch", &out.decode_batch},
                       {"clblast_slice", &out.clblast_slice}};
        uint32_t *figure = nullptr;
        for (const auto &each : figures)
            if (name == each.name) figure = each.value;
        if (!figure || value == 0 || value > kMost)
            raise(
                RZ_INVALID_ARGUMENT,
                "REALIZAR_OPENCL_TUNE: expected a name of Tuning (cl/settings.h), a colon and 1 to "
                "%lu, found '%s'",
                kMost, word.c_str());
        *figure = static_cast<uint32_t>(value);
    }
}

void read_fail(const std::string &text, Settings &out) {
    if (text.empty() || text == "calls") return; // calls: only by the extension x-realizar.fault/1
    const size_t colon = text.find(':');
    const std::string what = text.substr(0, colon);
    const uint64_t count =
        colon == std::string::npos ? 0 : std::strtoull(text.c_str() + colon + 1, nullptr, 10);
    if (what == "alloc" && count)
        out.fail_allocation = count;
    else if (what == "submit" && count)
        out.fail_submission = count;
    else
        raise(RZ_INVALID_ARGUMENT,
              "REALIZAR_OPENCL_FAIL: expected alloc:N, submit:N (N above 0) or calls, found '%s'",
              text.c_str());
}

UseClblast read_clblast(const std::string &text) {
    if (text.empty()) return UseClblast::by_device;
    if (text == "0") return UseClblast::never;
    if (text == "1") return UseClblast::always;
    if (text == "auto") return UseClblast::measured;
    raise(RZ_INVALID_ARGUMENT, "REALIZAR_OPENCL_CLBLAST: expected 0, 1 or auto, found '%s'",
          text.c_str());
}

} // namespace

Settings read_settings() {
    Settings settings;
    settings.disabled = environment("REALIZAR_OPENCL_DISABLE");
    read_disabled(settings);
    read_tuning(environment("REALIZAR_OPENCL_TUNE"), settings.tuning);
    const std::string profile = environment("REALIZAR_OPENCL_PROFILE");
    settings.profile = profile == "1";
    if (!profile.empty() && profile != "0" && profile != "1")
        raise(RZ_INVALID_ARGUMENT, "REALIZAR_OPENCL_PROFILE: expected 1, found '%s'",
              profile.c_str());
    settings.clblast = read_clblast(environment("REALIZAR_OPENCL_CLBLAST"));
    read_fail(environment("REALIZAR_OPENCL_FAIL"), settings);
    return settings;
}

} // namespace realizar::opencl
