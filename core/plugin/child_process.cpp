#include "core/plugin/child_process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace realizar {

namespace {

// Owner of the two objects that posix_spawn takes.
struct SpawnSetup {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;

    SpawnSetup() {
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
        sigset_t all, none;
        sigfillset(&all);
        sigemptyset(&none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                                  POSIX_SPAWN_SETSIGMASK);
    }
    ~SpawnSetup() {
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
    }
    SpawnSetup(const SpawnSetup &) = delete;
    SpawnSetup &operator=(const SpawnSetup &) = delete;
};

Error start_error(const std::filesystem::path &program, int number) {
    return make_error(number == ENOENT ? Code::not_found : Code::io, "no_child",
                      "cannot start '%s': %s", printable(program.native(), 400).c_str(),
                      std::strerror(number));
}

} // namespace

Result<ChildProcess> ChildProcess::start(const std::filesystem::path &program,
                                         const std::vector<std::string> &arguments) {
    ChildProcess child;
    SpawnSetup setup;
    UniqueFd ends[2];
    posix_spawn_file_actions_addopen(&setup.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    for (int i = 0; i < 2; ++i) {
        int pipe_fds[2];
        if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return start_error(program, errno);
        child.streams_[i].fd = UniqueFd(pipe_fds[0]);
        ends[i] = UniqueFd(pipe_fds[1]);
        ::fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
        posix_spawn_file_actions_adddup2(&setup.actions, pipe_fds[1], STDOUT_FILENO + i);
    }
#if defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 34)
    posix_spawn_file_actions_addclosefrom_np(&setup.actions, STDERR_FILENO + 1);
#endif
#endif
    std::vector<std::string> words{program.native()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char *> argv;
    for (std::string &word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    const int error = ::posix_spawn(&child.pid_, program.c_str(), &setup.actions, &setup.attributes,
                                    argv.data(), environ);
    if (error != 0) {
        child.pid_ = -1;
        return start_error(program, error);
    }
    return child;
}

ChildProcess::ChildProcess(ChildProcess &&other) noexcept : pid_(std::exchange(other.pid_, -1)) {
    for (int i = 0; i < 2; ++i)
        streams_[i] = std::move(other.streams_[i]);
}

ChildProcess::~ChildProcess() {
    if (pid_ > 0) reap();
}

// Reads what is there; false when the stream has ended.
bool ChildProcess::drain(Stream &stream, size_t limit) {
    char bytes[4096];
    for (;;) {
        const ssize_t count = ::read(stream.fd.get(), bytes, sizeof bytes);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == EAGAIN) return true;
        if (count <= 0) return false;
        const size_t room = limit - std::min(limit, stream.text.size());
        stream.text.append(bytes, std::min(room, static_cast<size_t>(count)));
    }
}

// Has the child ended? It stays a zombie, so that its process group id cannot be reused yet. Where
// this process ignores SIGCHLD nothing can be learnt and the child counts as ended.
bool ChildProcess::ended() const {
    siginfo_t info{};
    const int result = ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
    return result != 0 ? errno != EINTR : info.si_pid == pid_;
}

ChildEnd ChildProcess::reap() {
    ::kill(-pid_, SIGKILL); // the whole group: a plugin may have started processes
    int status = 0;
    pid_t result = 0;
    do
        result = ::waitpid(pid_, &status, 0);
    while (result < 0 && errno == EINTR);
    pid_ = -1;
    ChildEnd end;
    if (result > 0 && WIFSIGNALED(status)) end.signal = WTERMSIG(status);
    if (result > 0 && WIFEXITED(status)) end.exit_status = WEXITSTATUS(status);
    return end;
}

ChildEnd ChildProcess::watch(
    Clock::time_point deadline, size_t limit,
    const std::function<std::optional<Clock::time_point>(const std::string &)> &on_output) {
    using std::chrono::milliseconds;
    // The end of the streams wakes us; the slices only serve a child that closed them and lives on,
    // or one whose children hold them open.
    constexpr milliseconds kFirstSlice(1), kLastSlice(20);
    milliseconds slice = kFirstSlice;
    bool timed_out = false;
    while (!ended()) {
        const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
        if (left <= milliseconds::zero()) {
            timed_out = true;
            break;
        }
        pollfd fds[2];
        for (int i = 0; i < 2; ++i)
            fds[i] = {streams_[i].fd ? streams_[i].fd.get() : -1, POLLIN, 0};
        const auto wait = std::min(left, slice);
        const int ready = ::poll(fds, 2, static_cast<int>(wait.count()));
        slice = ready > 0 ? kFirstSlice : std::min(slice * 2, kLastSlice);
        for (int i = 0; i < 2; ++i)
            if (fds[i].revents && !drain(streams_[i], limit)) streams_[i].fd.reset();
        if (fds[0].revents)
            if (const auto changed = on_output(streams_[0].text)) deadline = *changed;
    }
    ChildEnd end = reap();
    end.timed_out = timed_out;
    for (Stream &stream : streams_)
        if (stream.fd) drain(stream, limit);
    return end;
}

std::string signal_name(int signal) {
    switch (signal) {
    case SIGSEGV: return "SIGSEGV";
    case SIGABRT: return "SIGABRT";
    case SIGBUS: return "SIGBUS";
    case SIGFPE: return "SIGFPE";
    case SIGILL: return "SIGILL";
    case SIGTRAP: return "SIGTRAP";
    case SIGSYS: return "SIGSYS";
    case SIGKILL: return "SIGKILL";
    case SIGTERM: return "SIGTERM";
    default: return "signal " + std::to_string(signal);
    }
}

} // namespace realizar
