#include "tools/ctk/child.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

// Under a sanitizer an impossible allocation gives NULL, as everywhere else.
#define CTK_SANITIZER_OPTIONS(function)                                                            \
    extern "C" __attribute__((visibility("default"), used)) const char *function() {               \
        return "allocator_may_return_null=1";                                                      \
    }
CTK_SANITIZER_OPTIONS(__asan_default_options)
CTK_SANITIZER_OPTIONS(__tsan_default_options)

namespace realizar::ctk {
namespace {

void send_line(int pipe, const nlohmann::json &line) {
    const auto replace = nlohmann::json::error_handler_t::replace;
    const std::string text = line.dump(-1, ' ', false, replace) + "\n";
    size_t sent = 0;
    while (sent < text.size()) {
        const ssize_t written = write(pipe, text.data() + sent, text.size() - sent);
        if (written <= 0) return; // the parent is gone
        sent += static_cast<size_t>(written);
    }
}

Status run_guarded(const Case &test, Context &context) {
    try {
        return test.run(context);
    } catch (const std::exception &exception) {
        return make_error(Code::internal, "exception", "an exception crossed the ABI: %s",
                          printable(exception.what()).c_str());
    } catch (...) {
        return make_error(Code::internal, "exception", "an exception crossed the ABI");
    }
}

void child_main(const CaseList &cases, size_t begin, size_t end, const Target &target,
                int progress) {
    Context context(target);
    for (size_t i = begin; i < end; ++i) {
        send_line(progress, {"start", i});
        context.seed = seed_of(cases[i].full_name(), target.seed);
        context.payload.clear();
        const Status status = run_guarded(cases[i], context);
        const bool lacks = !status.ok() && is_unsupported(status.error());
        send_line(progress, {"end", i, status.ok(), lacks,
                             status.ok() ? "" : status.error().message, context.payload});
    }
}

} // namespace

ChildProcess spawn_child(const CaseList &cases, size_t begin, size_t end, const Target &target) {
    ChildProcess child;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return child;
    child.output = memfd_create("ctk-output", MFD_CLOEXEC);
    const pid_t parent = getpid();
    std::fflush(nullptr);
    child.pid = fork();
    if (child.pid == 0) {
        setpgid(0, 0); // a hang is ended together with whatever the plugin started
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
        const rlimit no_core{0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        close(ends[0]);
        dup2(child.output, STDOUT_FILENO);
        dup2(child.output, STDERR_FILENO);
        Target own = target;
        own.output = child.output;
        child_main(cases, begin, end, own, ends[1]);
        // Not _exit: static destructors of the plugin and the reports of sanitizers belong to the
        // test.
        std::exit(0);
    }
    close(ends[1]);
    child.progress = ends[0];
    fcntl(child.progress, F_SETFL, O_NONBLOCK);
    if (child.pid > 0) setpgid(child.pid, child.pid);
    return child;
}

std::string tail_of(int file, size_t limit) {
    struct stat facts {};
    if (fstat(file, &facts) != 0 || facts.st_size == 0) return {};
    const off_t begin = std::max<off_t>(0, facts.st_size - static_cast<off_t>(limit));
    std::string text(static_cast<size_t>(facts.st_size - begin), '\0');
    const ssize_t got = pread(file, text.data(), text.size(), begin);
    text.resize(got > 0 ? static_cast<size_t>(got) : 0);
    std::string out;
    for (size_t at = 0; at < text.size();) {
        const size_t stop = std::min(text.find('\n', at), text.size());
        out += printable(std::string_view(text).substr(at, stop - at), 400) + "\n";
        at = stop + 1;
    }
    return out;
}

} // namespace realizar::ctk
