// realizar-probe PLUGIN.so: loads one plugin in a process of its own and reports on standard output.
//
// Run by the core before it loads a plugin (core/plugin/probe.h has the protocol); a person may run
// it too. Exit status 0 when a report was written, whatever it says; 2 on wrong usage.
#include "core/plugin/probe.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using realizar::PluginRecord;

void write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return;
        text.remove_prefix(static_cast<size_t>(written));
    }
}

// The end of the parent, and core files, are no business of a test run.
void behave_as_child() {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
}

// What the plugin writes to standard output, which belongs to the program that loads it.
std::string output_of_plugin(int fd) {
    std::fflush(stdout);
    struct stat info {};
    if (::fstat(fd, &info) != 0 || info.st_size == 0) return {};
    char text[64];
    const ssize_t count = ::pread(fd, text, sizeof text, 0);
    return std::string(text, count > 0 ? static_cast<size_t>(count) : 0);
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: realizar-probe PLUGIN.so\n");
        return 2;
    }
    behave_as_child();
    const int report = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    const int captured = ::memfd_create("plugin output", MFD_CLOEXEC);
    if (report < 0 || captured < 0 || ::dup2(captured, STDOUT_FILENO) < 0) {
        std::perror("realizar-probe");
        return 2;
    }
    PluginRecord record = realizar::probe_here(argv[1], [&](const PluginRecord &loaded) {
        write_all(report, realizar::probe_progress_line(loaded));
    });
    if (const std::string output = output_of_plugin(captured); !output.empty()) {
        record.state = realizar::PluginState::broken;
        record.reason =
            "expected no output, found '" + realizar::printable(output) + "' on standard output";
        record.devices.clear();
    }
    write_all(report, realizar::probe_result_line(record));
    return 0;
}
