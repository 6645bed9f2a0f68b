// The Vulkan backend as tests open it: in a reduced configuration if asked, and under the Khronos
// validation layer, any message of which fails the test.
#pragma once

#include "tests/support/backend_session.h"

#include <optional>

namespace realizar::vulkan::test {

using realizar::test::distance;
using realizar::test::Error;
using realizar::test::Host;
using realizar::test::linked_plugin;
using realizar::test::Loaded;
using realizar::test::random_leaves;
using realizar::test::Variable;

// The configurations that every machine can show; see plugins/vulkan/vk/settings.h.
constexpr const char *kConfigurations[] = {
    "", "fp16", "int_dot", "coopmat", "host_memory", "fp16,int_dot,coopmat,host_memory"};

// What the environment says while a driver is created.
struct Settings {
    Settings(const char *disabled, bool validate)
        : disable(std::in_place, "REALIZAR_VULKAN_DISABLE", disabled),
          layer(std::in_place, "REALIZAR_VULKAN_VALIDATE", validate ? "1" : "0") {}

    std::optional<Variable> disable, layer;
};

class Backend : Settings, public realizar::test::Backend {
  public:
    explicit Backend(const char *disabled = "", bool validate = true)
        : Settings(disabled, validate) {
        layer.reset();
        disable.reset();
    }
};

} // namespace realizar::vulkan::test
