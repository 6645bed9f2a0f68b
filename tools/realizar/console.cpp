#include "tools/realizar/console.h"

#include "tools/realizar/interrupt.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <unistd.h>

namespace realizar::cli {
namespace {

// Control characters of ASCII and, in UTF-8, of Latin-1 (U+0080 to U+009F).
std::string without_controls(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const bool latin =
            byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
        if (latin || byte == 0x7F || (byte < 0x20 && byte != '\n' && byte != '\t')) {
            out += "\xEF\xBF\xBD";
            i += latin;
        } else {
            out += text[i];
        }
    }
    return out;
}

} // namespace

int exit_code(const Error &error) {
    if (error.tag == "regression") return kExitRegression;
    switch (error.code) {
    case Code::invalid_argument: return kExitUsage;
    case Code::not_found:
    case Code::io:
    case Code::malformed: return kExitFile;
    // A model that this build cannot run is a matter of the file, an operator of the device.
    case Code::unsupported:
        return error.tag == "not_on_device" || error.tag.starts_with("backend_") ? kExitDevice
                                                                                 : kExitFile;
    case Code::unavailable:
    case Code::out_of_memory:
    case Code::timeout:
    case Code::device_lost: return kExitDevice;
    case Code::context_full: return kExitContext;
    case Code::cancelled: return kExitCancelled;
    case Code::internal: break;
    }
    return kExitInternal;
}

void print_error(const Error &error) {
    std::fprintf(stderr, "realizar: error: %s [%s]\n", error.message.c_str(), error.tag.c_str());
}

void print_note(const std::string &text) { std::fprintf(stderr, "realizar: %s\n", text.c_str()); }

void print_json(const Json &json, int indent) {
    const std::string text = json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

void print_text(std::string_view text) {
    static const bool terminal = ::isatty(STDOUT_FILENO) == 1;
    const std::string safe = terminal ? without_controls(text) : std::string();
    const std::string_view shown = terminal ? safe : text;
    std::fwrite(shown.data(), 1, shown.size(), stdout);
    std::fflush(stdout);
}

Status finish_output() {
    if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return {};
    return make_error(Code::io, "write_failed", "writing to standard output failed: %s",
                      std::strerror(errno));
}

std::string bytes_text(uint64_t bytes) {
    static constexpr const char *kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    auto value = static_cast<double>(bytes);
    for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit)
        value /= 1024;
    char text[32];
    std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
    return text;
}

Progress::Progress(std::string label)
    : label_(std::move(label)), terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { clear(); }

bool Progress::show(uint64_t done, uint64_t total) {
    const int percent =
        total == 0
            ? 100
            : static_cast<int>(100.0 * static_cast<double>(done) / static_cast<double>(total));
    if (terminal_ && percent != percent_) {
        constexpr int kWidth = 30;
        const int full = percent * kWidth / 100;
        std::fprintf(stderr, "\r%s [%s%s] %3d %%", label_.c_str(),
                     std::string(static_cast<size_t>(full), '#').c_str(),
                     std::string(static_cast<size_t>(kWidth - full), '.').c_str(), percent);
        std::fflush(stderr);
        shown_ = true;
        percent_ = percent;
    }
    return !Interrupt::requested();
}

void Progress::clear() {
    if (!shown_) return;
    std::fputs("\r\x1b[K", stderr);
    std::fflush(stderr);
    shown_ = false;
}

double Stopwatch::milliseconds() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_)
        .count();
}

} // namespace realizar::cli
