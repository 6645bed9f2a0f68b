// Where tests find material that is not part of the project: test models, vocabularies, texts.
// The folder is $REALIZAR_SHARED, or ../shared beside the checkout. A test that needs a file skips
// with the path in its reason when it is missing.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace realizar::test {

inline std::filesystem::path shared_path(const std::string &relative) {
    const char *folder = std::getenv("REALIZAR_SHARED");
    const std::filesystem::path base =
        folder ? std::filesystem::path(folder)
               : std::filesystem::path(REALIZAR_SOURCE_DIR).parent_path() / "shared";
    return base / relative;
}

} // namespace realizar::test

#define RZ_REQUIRE_SHARED(variable, relative)                                                      \
    const std::filesystem::path variable = realizar::test::shared_path(relative);                  \
    if (!std::filesystem::exists(variable))                                                        \
    GTEST_SKIP() << "needs " << variable                                                           \
                 << " (test material outside the project; set REALIZAR_SHARED)"
