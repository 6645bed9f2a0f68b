// A child process under observation: started, read from, and killed when its time is over.
#pragma once

#include "core/common/result.h"
#include "core/plugin/unique_fd.h"

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace realizar {

struct ChildEnd {
    bool timed_out = false; // then it was killed
    int signal = 0;         // that ended it; 0: it exited
    int exit_status = 0;
};

// In its own process group, with stdin from /dev/null, default signals and no other descriptor than
// its three. The destructor kills and reaps what is left.
class ChildProcess {
  public:
    static Result<ChildProcess> start(const std::filesystem::path &program,
                                      const std::vector<std::string> &arguments);
    ChildProcess(ChildProcess &&other) noexcept;
    ChildProcess &operator=(ChildProcess &&) = delete;
    ~ChildProcess();

    using Clock = std::chrono::steady_clock;
    // Waits for the end and collects up to `limit` bytes of each stream; what comes after is read
    // and dropped. on_output may return a new deadline; it sees standard output so far.
    ChildEnd
    watch(Clock::time_point deadline, size_t limit,
          const std::function<std::optional<Clock::time_point>(const std::string &)> &on_output);

    const std::string &output() const { return streams_[0].text; }
    const std::string &errors() const { return streams_[1].text; }

  private:
    struct Stream {
        UniqueFd fd;
        std::string text;
    };
    ChildProcess() = default;
    bool drain(Stream &stream, size_t limit);
    bool ended() const;
    ChildEnd reap();

    pid_t pid_ = -1;
    Stream streams_[2]; // standard output, standard error
};

// "SIGSEGV", or "signal 40" where there is no name.
std::string signal_name(int signal);

} // namespace realizar
