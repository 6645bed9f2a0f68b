// One test of the kit, and what it sees while it runs in its child process.
#pragma once

#include "tools/ctk/check.h"
#include "tools/ctk/random.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace realizar::ctk {

class Library;
class Session;

struct Target {
    std::string plugin; // a path, or "builtin:reference"
    uint32_t device = 0;
    uint64_t seed = 1;
    // File that catches stdout and stderr of the child; the tests look whether a plugin printed.
    int output = -1;
};

// Shared by the tests of one batch, which run one after another in one child process. The library
// and the device are opened when the first test asks for them.
class Context {
  public:
    explicit Context(const Target &target);
    ~Context();

    const Target &target() const { return target_; }
    Result<Library *> library();
    Result<Session *> session();

    // Set before each test.
    uint64_t seed = 0;
    // A text that the test hands to the parent besides its verdict.
    std::string payload;

  private:
    Target target_;
    std::unique_ptr<Library> library_;
    std::unique_ptr<Session> session_;
};

struct Case {
    int level = 0;
    std::string suite; // "entry", "matmul"; tests of one suite share a child process
    std::string type;  // row of the capability matrix within the suite, e.g. "Q4_K"; often empty
    std::string name;
    std::function<Status(Context &)> run;
    bool isolated = false; // wants a fresh child process

    std::string full_name() const; // "L2/matmul/Q4_K/n33_k2_t2_dense"
};

using CaseList = std::vector<Case>;

} // namespace realizar::ctk
