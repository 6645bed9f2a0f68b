#include "core/scheduler/candidates.h"

#include <algorithm>
#include <string_view>

namespace realizar {
namespace {

bool known(const uint8_t (&uuid)[16]) {
    return std::ranges::any_of(uuid, [](uint8_t byte) { return byte != 0; });
}

bool same_device(const Candidate &a, const Candidate &b) {
    const bool twins = a.plugin == b.plugin && std::string_view(a.info->name) == b.info->name;
    return twins || (known(a.info->uuid) && std::ranges::equal(a.info->uuid, b.info->uuid));
}

} // namespace

void leave_out_doubles(Candidates &list) {
    const bool cpu = std::ranges::find(list, "cpu", &Candidate::plugin) != list.end();
    Candidates kept;
    for (Candidate &candidate : list) {
        const bool software = cpu && candidate.info->kind == RZ_DEVICE_CPU &&
                              candidate.plugin != "cpu" && candidate.plugin != "reference";
        const auto same = [&](const Candidate &other) { return same_device(candidate, other); };
        if (!software && std::ranges::none_of(kept, same)) kept.push_back(std::move(candidate));
    }
    list = std::move(kept);
}

} // namespace realizar
