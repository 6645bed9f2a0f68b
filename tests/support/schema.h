// Whether JSON is as a schema of bench/schema says, by Python's jsonschema package.
#pragma once

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

namespace realizar::test {

inline bool validator_missing() {
    return std::system("python3 -c 'import jsonschema' >/dev/null 2>&1") != 0;
}
constexpr const char *kNoValidator = "Python's jsonschema package is not installed";

// What is wrong with the document, which is any JSON value; nothing if it is valid.
template <class Document>
std::string schema_errors(const Document &document, const std::string &schema) {
    const std::string file =
        testing::TempDir() + "/rz_schema_" + std::to_string(getpid()) + ".json";
    std::ofstream(file) << document.dump();
    const std::string program = "python3 -c 'import json, sys, jsonschema\n"
                                "schema, data = (json.load(open(name)) for name in sys.argv[1:])\n"
                                "for e in jsonschema.Draft7Validator(schema).iter_errors(data):\n"
                                "    print(list(e.absolute_path), e.message[:200])' ";
    const std::string command =
        program + REALIZAR_SOURCE_DIR "/bench/schema/" + schema + " " + file + " 2>&1";
    std::string said;
    std::FILE *pipe = popen(command.c_str(), "r");
    if (!pipe) return "popen failed";
    char piece[512];
    while (std::fgets(piece, sizeof piece, pipe))
        said += piece;
    const int status = pclose(pipe);
    std::filesystem::remove(file);
    return status == 0 ? said : "validator failed: " + said;
}

} // namespace realizar::test
