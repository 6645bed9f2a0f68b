#include "core/plugin/probe.h"

#include "core/plugin/child_process.h"
#include "core/plugin/record_json.h"

#include <algorithm>
#include <optional>
#include <string_view>

namespace realizar {

namespace {

constexpr size_t kMaxOutput = 1 << 20;
constexpr size_t kMaxStderrShown = 200;

struct Report {
    bool loaded = false; // the progress line came
    bool done = false;
    PluginRecord record;
};

// The lines so far; one that does not parse, or is not complete yet, is skipped.
Report read_report(std::string_view output) {
    Report report;
    while (!output.empty() && !report.done) {
        const size_t end = output.find('\n');
        if (end == output.npos) break;
        const Result<nlohmann::json> json = parse_json(output.substr(0, end));
        output.remove_prefix(end + 1);
        if (!json.ok() || !json->is_object() || !json->contains("stage")) continue;
        Result<PluginRecord> record = record_from_json(*json);
        if (!record.ok()) continue;
        report.loaded = true;
        report.done = (*json)["stage"] == "done";
        report.record = std::move(*record);
    }
    return report;
}

std::string said(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    while (!text.empty() && text.back() == ' ')
        text.pop_back();
    return text.empty() ? "" : ": " + printable(text, kMaxStderrShown);
}

const char *activity(const Report &report) {
    if (report.done) return "while its process ended";
    return report.loaded ? "while opening its devices" : "while loading";
}

} // namespace

PluginRecord probe_in_child(const ProbeOptions &options, const std::filesystem::path &plugin) {
    using Clock = ChildProcess::Clock;
    PluginRecord broken;
    broken.path = plugin;
    broken.state = PluginState::broken;
    Result<ChildProcess> child = ChildProcess::start(options.program, {plugin.native()});
    if (!child.ok()) {
        broken.reason = "the probe did not run: " + child.error().message;
        return broken;
    }
    std::chrono::milliseconds limit = options.hello_timeout;
    bool loaded = false;
    const auto on_output = [&](const std::string &text) -> std::optional<Clock::time_point> {
        if (loaded || !read_report(text).loaded) return std::nullopt;
        loaded = true;
        limit = options.device_timeout;
        return Clock::now() + limit;
    };
    const ChildEnd end = child->watch(Clock::now() + limit, kMaxOutput, on_output);
    Report report = read_report(child->output());
    if (!end.timed_out && end.signal == 0 && end.exit_status == 0 && report.done) {
        report.record.path = plugin;
        return report.record;
    }
    if (report.loaded) broken = std::move(report.record);
    broken.path = plugin;
    broken.state = PluginState::broken;
    broken.devices.clear();
    const std::string when = activity(report);
    if (end.timed_out)
        broken.reason = "hung " + when + ": no answer within " + std::to_string(limit.count()) +
                        " ms" + said(child->errors());
    else if (end.signal != 0)
        broken.reason =
            "crashed with " + signal_name(end.signal) + " " + when + said(child->errors());
    else
        broken.reason = "ended its process with status " + std::to_string(end.exit_status) + " " +
                        when + said(child->errors());
    return broken;
}

} // namespace realizar
