#include "tests/cli/process.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <tuple>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

namespace realizar::test {
namespace {

// The parent's ends of the child's streams; with a terminal `in` and `out` are the same.
struct Streams {
    int in = -1, out = -1, err = -1;
};

[[noreturn]] void become(const std::vector<std::string> &arguments, const ProcessOptions &options) {
    std::signal(SIGPIPE, SIG_DFL); // ignored below, which exec would keep
    std::vector<char *> argv;
    for (const std::string &argument : arguments)
        argv.push_back(const_cast<char *>(argument.c_str()));
    argv.push_back(nullptr);
    for (const std::string &variable : options.environment)
        ::putenv(const_cast<char *>(variable.c_str()));
    if (!options.folder.empty() && ::chdir(options.folder.c_str()) != 0) ::_exit(127);
    ::execv(argv[0], argv.data());
    ::_exit(127);
}

pid_t start_on_terminal(const std::vector<std::string> &arguments, const ProcessOptions &options,
                        Streams &streams) {
    termios quiet{};
    ::cfmakeraw(&quiet);
    quiet.c_lflag = ICANON | ISIG; // lines and ^D, but no echo
    quiet.c_cc[VEOF] = 4;
    quiet.c_cc[VINTR] = 3;
    int master = -1;
    const pid_t child = ::forkpty(&master, nullptr, &quiet, nullptr);
    if (child == 0) become(arguments, options);
    streams.in = streams.out = master;
    return child;
}

pid_t start_on_pipes(const std::vector<std::string> &arguments, const ProcessOptions &options,
                     Streams &streams) {
    std::array<int, 2> in{}, out{}, err{};
    for (auto *ends : {&in, &out, &err})
        if (::pipe2(ends->data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(in[0], STDIN_FILENO);
        ::dup2(out[1], STDOUT_FILENO);
        ::dup2(err[1], STDERR_FILENO);
        become(arguments, options);
    }
    ::close(in[0]);
    ::close(out[1]);
    ::close(err[1]);
    streams = {in[1], out[0], err[0]};
    return child;
}

// Moves bytes until the child has closed its output; false if the time was up.
bool exchange(pid_t child, const ProcessOptions &options, Streams &streams, ProcessResult &result) {
    const auto end = std::chrono::steady_clock::now() + options.timeout;
    const bool terminal = options.terminal;
    size_t written = 0;
    bool interrupted = options.interrupt_after.empty();
    const auto close = [](int &fd) { ::close(std::exchange(fd, -1)); };
    while (streams.out >= 0 || streams.err >= 0) {
        if (std::chrono::steady_clock::now() > end) return false;
        if (!terminal && streams.in >= 0 && written == options.input.size()) close(streams.in);
        const bool more =
            (terminal ? streams.out : streams.in) >= 0 && written < options.input.size();
        std::array<pollfd, 3> polls = {
            pollfd{streams.out, static_cast<short>(POLLIN | (terminal && more ? POLLOUT : 0)), 0},
            pollfd{streams.err, POLLIN, 0},
            pollfd{terminal || !more ? -1 : streams.in, POLLOUT, 0}};
        ::poll(polls.data(), polls.size(), 100);
        if (more && ((polls[0].revents | polls[2].revents) & POLLOUT)) {
            const ssize_t n =
                ::write(streams.in, options.input.data() + written, options.input.size() - written);
            if (n > 0) written += static_cast<size_t>(n);
            if (n < 0 && !terminal) close(streams.in);
        }
        for (const auto &[poll, fd, text] :
             {std::tuple<pollfd &, int &, std::string &>{polls[0], streams.out, result.out},
              {polls[1], streams.err, result.err}}) {
            if (fd < 0 || !(poll.revents & (POLLIN | POLLHUP | POLLERR))) continue;
            char buffer[4096];
            const ssize_t n = ::read(fd, buffer, sizeof buffer);
            if (n > 0) {
                text.append(buffer, static_cast<size_t>(n));
            } else if (n == 0 || errno != EINTR) {
                close(fd); // a terminal ends with EIO
            }
        }
        if (!interrupted && result.out.find(options.interrupt_after) != std::string::npos) {
            ::kill(child, SIGINT);
            interrupted = true;
        }
    }
    return true;
}

} // namespace

ProcessResult run_process(const std::vector<std::string> &arguments,
                          const ProcessOptions &options) {
    std::signal(SIGPIPE, SIG_IGN); // a child may end without reading
    ProcessResult result;
    Streams streams;
    const pid_t child = options.terminal ? start_on_terminal(arguments, options, streams)
                                         : start_on_pipes(arguments, options, streams);
    if (child < 0) throw std::runtime_error("fork failed");
    const bool ended = exchange(child, options, streams, result);
    if (!ended) ::kill(child, SIGKILL);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!options.terminal && streams.in >= 0) ::close(streams.in);
    if (ended) result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
}

} // namespace realizar::test
