// The program as its user sees it: streams, exit codes, files.
#pragma once

#include "tests/cli/process.h"
#include "tests/models/tiny_model.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace realizar::test {

using Json = nlohmann::json;

class Cli : public testing::Test {
  protected:
    // realizar ARGUMENTS... in a folder of its own; caches are kept there too.
    ProcessResult run(std::vector<std::string> arguments, ProcessOptions options = {}) {
        arguments.insert(arguments.begin(), std::string(REALIZAR_BINARY_DIR) + "/bin/realizar");
        options.folder = folder();
        options.environment.push_back("XDG_CACHE_HOME=" + folder());
        return run_process(arguments, options);
    }
    // The same, which must succeed and print one JSON value.
    Json run_json(const std::vector<std::string> &arguments) {
        const ProcessResult result = run(arguments);
        EXPECT_EQ(result.code, 0) << result.err;
        Json json = Json::parse(result.out, nullptr, false);
        EXPECT_FALSE(json.is_discarded()) << result.out;
        return json;
    }
    void expect_error(const std::vector<std::string> &arguments, int code,
                      const std::string &mentions) {
        const ProcessResult result = run(arguments);
        EXPECT_EQ(result.code, code) << result.out << result.err;
        EXPECT_NE(result.err.find(mentions), std::string::npos) << result.err;
        EXPECT_NE(result.err.find("realizar: error: "), std::string::npos) << result.err;
        EXPECT_EQ(result.out, "") << "errors belong on standard error";
    }

    std::string folder() const { return folder_.path().string(); }
    std::string file(const std::string &name) const { return (folder_.path() / name).string(); }
    std::string write(const std::string &name, const std::string &bytes) const {
        std::ofstream(file(name), std::ios::binary) << bytes;
        return file(name);
    }
    static std::string draft() {
        return std::string(REALIZAR_SOURCE_DIR) + "/models/fable-draft-3m-q8_0.gguf";
    }
    static std::string read(const std::string &path) {
        std::ostringstream text;
        text << std::ifstream(path, std::ios::binary).rdbuf();
        return text.str();
    }

  private:
    TemporaryFolder folder_;
};

} // namespace realizar::test
