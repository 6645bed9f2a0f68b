// Runs a program as a user would and keeps what it says.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace realizar::test {

struct ProcessResult {
    int code = -1; // exit status; 128 + signal if a signal ended it; -1 if it had to be killed
    std::string out, err;
};

struct ProcessOptions {
    std::string input;                    // standard input, closed after it
    std::vector<std::string> environment; // NAME=VALUE in addition to the test's own
    std::string folder;                   // working directory; empty: the test's
    bool terminal = false;                // all three streams are one terminal; its output is `out`
    // When `interrupt_after` has appeared in the output, SIGINT is sent, once.
    std::string interrupt_after;
    std::chrono::seconds timeout{120};
};

ProcessResult run_process(const std::vector<std::string> &arguments,
                          const ProcessOptions &options = {});

} // namespace realizar::test
