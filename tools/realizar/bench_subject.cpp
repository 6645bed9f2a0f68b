#include "tools/realizar/bench_subject.h"

#include "commit.h" // generated
#include "models/builtin.h"

#include <algorithm>
#include <filesystem>
#include <map>

namespace realizar::cli {
namespace {

constexpr const char *kBuild = REALIZAR_VERSION "+" REALIZAR_COMMIT;

// The type that most of the weights' bytes have, e.g. "Q4_K".
std::string main_type(const GgufFile &file) {
    std::map<std::string, uint64_t> bytes;
    for (const GgufTensor &tensor : file.tensors())
        bytes[dtype_info(tensor.dtype).name] += tensor.data.size();
    const auto most = std::ranges::max_element(
        bytes, [](const auto &a, const auto &b) { return a.second < b.second; });
    return most == bytes.end() ? std::string() : most->first;
}

Json memory_json(const rz_device_info &info) {
    if (info.memory_total == 0) return nullptr;
    return static_cast<double>(info.memory_total) / (1 << 30);
}

} // namespace

Result<Json> model_json(const BenchOptions &options, const GgufFile &file, bool digest) {
    const bool builtin = options.model.empty();
    Json model = {
        {"name", printable(builtin ? std::string(builtin_model().name)
                                   : std::filesystem::path(options.model).filename().string(),
                           200)},
        {"format", file.format()},
        {"quantization", main_type(file)},
        {"bytes", file.size()},
        {"sha256", nullptr}};
    if (!digest) return model;
    if (builtin) {
        model["sha256"] = bench::sha256(std::as_bytes(std::span(builtin_model().bytes)));
    } else {
        RZ_ASSIGN(model["sha256"], bench::sha256_of_file(options.model));
    }
    return model;
}

bench::Subject subject_of(const BenchOptions &options, const LoadedModel &loaded,
                          const Json &model) {
    const Engine &engine = *loaded.engine;
    const DevicePtr &device = engine.runner().devices().front();
    bench::Subject subject;
    const std::string label = device->label();
    subject.backend = label.substr(0, label.find(':'));
    subject.device = printable(device->info().name);
    subject.driver = printable(device->info().driver, 200);
    subject.runtime = "realizar";
    subject.runtime_version = kBuild;
    subject.model = model["name"].get<std::string>();
    subject.format = model["format"].get<std::string>();
    subject.quantization = model["quantization"].get<std::string>();
    subject.threads = loaded.backends->host().threads();
    subject.batch = engine.batch();
    subject.context = engine.context();
    subject.key_type = options.key_type;
    subject.value_type = options.value_type;
    subject.load_ms = loaded.load_ms;
    subject.model_bytes = engine.weight_source_bytes();
    if (const auto counters = device->counters())
        if (counters->memory_peak > 0) subject.device_peak = counters->memory_peak;
    // With a peer in this process nobody knows whose memory it is.
    if (options.peer.empty()) subject.peak_resident = bench::peak_resident_bytes();
    return subject;
}

bench::Subject peer_subject(bench::Subject subject, const std::string &name) {
    subject.backend = subject.runtime = name;
    subject.device = subject.driver = subject.runtime_version = "";
    subject.load_ms = std::nullopt;
    subject.device_peak = subject.peak_resident = std::nullopt;
    return subject;
}

Json hardware_json(const Registry &registry) {
    Json hardware = bench::environment_json();
    Json gpus = Json::array(), plugins = Json::array();
    for (const PluginRecord &record : registry.records()) {
        if (record.state != PluginState::ready) continue;
        plugins.push_back({{"id", printable(record.id, 100)},
                           {"version", printable(record.version, 100)},
                           {"build", printable(record.build, 200)}});
        for (const rz_device_info &info : record.devices)
            if (info.kind != RZ_DEVICE_CPU)
                gpus.push_back({{"id", printable(record.id + ":" + info.id, 100)},
                                {"name", printable(info.name, 200)},
                                {"driver", printable(info.driver, 200)},
                                {"memory_gb", memory_json(info)}});
    }
    hardware["gpus"] = std::move(gpus);
    hardware["plugins"] = std::move(plugins);
    hardware["realizar"] = kBuild;
    return hardware;
}

} // namespace realizar::cli
