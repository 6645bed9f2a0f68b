#include "core/plugin/registry.h"

#include "core/reference/reference.h"

namespace realizar {

Result<std::shared_ptr<const Plugin>> builtin_plugin() {
    return Plugin::from_table(reference_plugin());
}

} // namespace realizar
