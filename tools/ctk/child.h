// The child's side of the runner: one process that runs a range of tests.
#pragma once

#include "tools/ctk/case.h"

#include <cstddef>
#include <string>
#include <sys/types.h>

namespace realizar::ctk {

// Lines on the progress pipe, one JSON array each: ["start", case] or
// ["end", case, ok, unsupported, message, payload].
struct ChildProcess {
    pid_t pid = -1;
    int progress = -1; // read end, non-blocking
    int output = -1;   // file with the child's stdout and stderr
};

// Forks a child for the tests [begin, end) of the list. pid is -1 if the system refuses.
ChildProcess spawn_child(const CaseList &cases, size_t begin, size_t end, const Target &target);

// The last bytes of a file, fit to print.
std::string tail_of(int file, size_t limit);

} // namespace realizar::ctk
