#include "core/plugin/registry.h"

namespace realizar {

const char *plugin_state_name(PluginState state) {
    switch (state) {
    case PluginState::ready: return "ready";
    case PluginState::unavailable: return "unavailable";
    case PluginState::refused: return "refused";
    case PluginState::incompatible: return "incompatible";
    case PluginState::broken: return "broken";
    }
    return "broken";
}

} // namespace realizar
