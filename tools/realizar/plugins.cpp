// realizar plugins: which backends there are and what is wrong with the others.
#include "tools/realizar/commands.h"
#include "tools/realizar/options.h"

#include <cstdio>
#include <memory>

namespace realizar::cli {
namespace {

constexpr const char *kFooter =
    R"(Plugins are looked for in 'plugins' beside the program (or in lib/realizar/plugins of an
installed tree) and in the absolute folders of $REALIZAR_PLUGIN_PATH.

Examples:
  realizar plugins
  realizar plugins --json
  realizar plugins --plugin-path /opt/backends)";

struct PluginsOptions : BackendOptions {
    bool json = false;
};

const char *kind_name(uint32_t kind) {
    switch (kind) {
    case RZ_DEVICE_CPU: return "cpu";
    case RZ_DEVICE_GPU: return "gpu";
    case RZ_DEVICE_INTEGRATED_GPU: return "integrated_gpu";
    case RZ_DEVICE_ACCELERATOR: return "accelerator";
    default: return "other";
    }
}

Json device_json(const rz_device_info &info) {
    return {{"id", info.id},
            {"name", info.name},
            {"kind", kind_name(info.kind)},
            {"driver", info.driver},
            {"isa", info.isa},
            {"memory_total", info.memory_total},
            {"memory_free", info.memory_free}};
}

Json record_json(const PluginRecord &record) {
    Json devices = Json::array();
    for (const rz_device_info &info : record.devices)
        devices.push_back(device_json(info));
    return {{"id", record.id},
            {"version", record.version},
            {"vendor", record.vendor},
            {"license", record.license},
            {"path", record.path.string()},
            {"state", plugin_state_name(record.state)},
            {"reason", record.reason},
            {"devices", std::move(devices)}};
}

// "cpu  0.1.0  ready  0: Some CPU (avx2)" or the reason in place of devices.
std::string record_line(const PluginRecord &record) {
    const std::string label = record.id.empty() ? record.path.string() : record.id;
    std::string rest = record.reason;
    for (const rz_device_info &info : record.devices)
        rest += (rest.empty() ? "" : "; ") + std::string(info.id) + ": " + info.name +
                (info.isa[0] ? " (" + std::string(info.isa) + ")" : "");
    char head[64];
    std::snprintf(head, sizeof head, "  %-8s %-12s ", record.version.c_str(),
                  plugin_state_name(record.state));
    std::string line = label + std::string(label.size() < 12 ? 12 - label.size() : 0, ' ');
    return line + head + printable(rest, 500) + "\n";
}

Status run(const PluginsOptions &options) {
    RZ_ASSIGN(const auto backends, open_backends(options));
    Json list = Json::array();
    for (const PluginRecord &record : backends->registry().records()) {
        if (options.json) {
            list.push_back(record_json(record));
        } else {
            print_text(record_line(record));
        }
    }
    if (options.json) print_json({{"plugins", std::move(list)}}, 2);
    return {};
}

} // namespace

void add_plugins(CLI::App &app, Action &action) {
    CLI::App *command = app.add_subcommand("plugins", "list the backends and their devices");
    command->footer(kFooter);
    auto options = std::make_shared<PluginsOptions>();
    command->add_flag("--json", options->json, "print JSON");
    add_plugin_path_option(*command, *options);
    add_verbose_option(*command, *options);
    command->callback([=, &action] { action = [=] { return run(*options); }; });
}

} // namespace realizar::cli
