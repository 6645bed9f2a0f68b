// Devices of all plugins that could be chosen, before any is opened.
#pragma once

#include "realizar/backend.h"

#include <cstdint>
#include <string>
#include <vector>

namespace realizar {

struct Candidate {
    std::string plugin;
    uint32_t index; // of the device in its plugin
    uint32_t rank;  // lower is better for "auto"
    std::string id; // of the device
    const rz_device_info *info;
    std::string label() const { return plugin + ":" + id; }
};
using Candidates = std::vector<Candidate>;

// What "auto" chooses from, best first, with each device once: leaves out those that come behind another
// plugin's view of the same device (one UUID) or behind a device of the same name in their plugin, and
// software GPUs where the CPU plugin is.
void leave_out_doubles(Candidates &list);

} // namespace realizar
