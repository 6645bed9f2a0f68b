// Engines for tests: any model file on one named backend, without probes and fallbacks.
#pragma once

#include "core/engine/engine.h"
#include "core/scheduler/backends.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace realizar::test {

// The backends of the build tree; they live as long as the process.
inline Backends &backends() {
    static Backends *all = [] {
        BackendsOptions options;
        options.registry.folders = {std::filesystem::path(REALIZAR_BINARY_DIR) / "plugins"};
        auto opened = Backends::open(std::move(options));
        return opened.ok() ? opened.value().release() : nullptr;
    }();
    return *all;
}

inline Result<std::shared_ptr<Engine>> load_engine(const std::filesystem::path &path,
                                                   const std::string &backend,
                                                   EngineOptions options = {}) {
    RZ_ASSIGN(auto file, GgufFile::open(path));
    RZ_ASSIGN(DeviceChoice choice, backends().choose({backend, "", true}));
    options.devices = std::move(choice.devices);
    options.require_first = true;
    return Engine::load(std::move(file), options);
}

// The small story model that is part of the project.
inline std::filesystem::path draft_model() {
    return std::filesystem::path(REALIZAR_SOURCE_DIR) / "models" / "fable-draft-3m-q8_0.gguf";
}

inline std::string message_of(const Error &error) { return error.tag + ": " + error.message; }

} // namespace realizar::test

// auto value = expression, failing the test with the error's message otherwise.
#define RZ_ASSERT_OK(declaration, expression)                                                      \
    RZ_ASSERT_OK_(RZ_CONCAT(got_, __LINE__), declaration, expression)
#define RZ_ASSERT_OK_(result, declaration, expression)                                             \
    auto result = (expression);                                                                    \
    ASSERT_TRUE(result.ok()) << realizar::test::message_of(result.error());                        \
    declaration = std::move(result).value()

// Skips where the build left the backend out.
#define RZ_REQUIRE_BACKEND(id)                                                                     \
    if (const auto *rz_record = realizar::test::backends().registry().find(id);                    \
        !rz_record || rz_record->state != realizar::PluginState::ready)                            \
    GTEST_SKIP() << "backend " << id << " is not ready here: "                                     \
                 << (rz_record ? rz_record->reason : "this build does not have it")
