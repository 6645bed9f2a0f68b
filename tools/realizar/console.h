// What goes to the terminal: progress, notes, JSON, and the one table of exit codes.
#pragma once

#include "core/common/result.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace realizar::cli {

using Json = nlohmann::ordered_json;

// docs/cli.md has this table for users.
enum ExitCode : int {
    kExitOk = 0,
    kExitInternal = 1,
    kExitUsage = 2,
    kExitFile = 3,
    kExitDevice = 4,
    kExitContext = 5,
    kExitRegression = 6,
    kExitCancelled = 130, // 128 + SIGINT, as shells report it
};
int exit_code(const Error &error);

// "realizar: error: ... [tag]" on stderr.
void print_error(const Error &error);
// "realizar: ..." on stderr.
void print_note(const std::string &text);

// To stdout. Whatever the model or a file brought, the result is valid UTF-8 JSON.
void print_json(const Json &json, int indent = -1);
// Text to stdout, flushed. On a terminal control characters but newline and tab are replaced, so
// that a model cannot drive the terminal.
void print_text(std::string_view text);
// Fails if stdout was closed or its disk is full.
Status finish_output();

std::string bytes_text(uint64_t bytes); // "23.1 MiB"

// A bar on stderr; nothing where stderr is no terminal. Removed by clear() and at the end of life.
class Progress {
  public:
    explicit Progress(std::string label);
    ~Progress();
    Progress(const Progress &) = delete;
    Progress &operator=(const Progress &) = delete;
    // Returns whether to go on: false after Ctrl-C.
    bool show(uint64_t done, uint64_t total);
    void clear();

  private:
    std::string label_;
    bool terminal_;
    bool shown_ = false;
    int percent_ = -1;
};

class Stopwatch {
  public:
    double milliseconds() const;

  private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

} // namespace realizar::cli
