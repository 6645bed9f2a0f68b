#include "tools/ctk/discover.h"

#include "tools/ctk/session.h"

#include <nlohmann/json.hpp>

namespace realizar::ctk {
namespace {

Status discover(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    nlohmann::json rows = nlohmann::json::array();
    for (const rz_capability &row : session->capabilities())
        rows.push_back({row.op, row.version, row.dtypes});
    const nlohmann::json offer = {{"id", session->api().id},
                                  {"version", session->api().version},
                                  {"device", session->info().name},
                                  {"capabilities", std::move(rows)}};
    context.payload = offer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return {};
}

} // namespace

Case discovery_case() { return {0, "driver", "", "open-device", discover, true}; }

bool parse_offer(const std::string &payload, Offer &out) {
    const auto offer = nlohmann::json::parse(payload, nullptr, false);
    if (!offer.is_object()) return false;
    out.id = offer.value("id", "");
    out.version = offer.value("version", "");
    out.device = offer.value("device", "");
    for (const auto &row : offer["capabilities"]) {
        rz_capability capability{};
        capability.struct_size = sizeof capability;
        capability.op = row[0];
        capability.version = row[1];
        capability.dtypes = row[2];
        out.capabilities.push_back(capability);
    }
    return true;
}

} // namespace realizar::ctk
