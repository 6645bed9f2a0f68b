// What a plugin offers, learnt in a child process before the list of tests is made.
#pragma once

#include "tools/ctk/case.h"

#include <string>
#include <vector>

namespace realizar::ctk {

struct Offer {
    std::string id, version, device;
    std::vector<rz_capability> capabilities;

    bool claims(uint32_t op, rz_dtype dtype) const {
        for (const rz_capability &row : capabilities)
            if (row.op == op && row.version == 1 && (row.dtypes & RZ_DTYPE_BIT(dtype)) != 0)
                return true;
        return false;
    }
};

// A test that opens the device and hands the offer over as its payload.
Case discovery_case();
// False if the payload is not one of discovery_case.
bool parse_offer(const std::string &payload, Offer &out);

} // namespace realizar::ctk
