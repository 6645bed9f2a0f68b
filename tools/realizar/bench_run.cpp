#include "tools/realizar/bench_run.h"

#include "bench/step_bytes.h"
#include "tools/realizar/bench_subject.h"
#include "tools/realizar/interrupt.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <map>

namespace realizar::cli {
namespace {

std::vector<bench::Workload> workloads(const BenchOptions &options) {
    std::vector<bench::Workload> list;
    for (const uint32_t depth : options.depths) {
        for (const uint32_t prompt : options.prompts)
            if (prompt > 0) list.push_back({prompt, 0, depth, 1});
        for (const uint32_t decode : options.decodes)
            for (const uint32_t sequences : options.sequences)
                if (decode > 0 && (sequences == 1 || depth == 0))
                    list.push_back({0, decode, depth, sequences});
    }
    return list;
}

// Nothing of it shows in the other outputs.
bool shows_digest(const BenchOptions &options) {
    return !options.no_history || options.output == "json" || options.output == "html";
}

// Appends the entries of one backend and its peer; says what model and machine are, the first time.
Status measure_one(const BenchOptions &options, const std::vector<bench::Workload> &work,
                   Json &entries, Json &model, Json &hardware) {
    bench::reset_peak_resident();
    const uint32_t sequences = std::ranges::max(options.sequences);
    const auto progress = [&](const std::string &what) {
        if (options.verbose) print_note(what);
        return !Interrupt::requested();
    };
    RZ_ASSIGN(auto measured, measure_loading(options, progress)); // before anything else is loaded
    const size_t loads = measured.size();
    RZ_ASSIGN(LoadedModel loaded, load_model(options, 1, sequences));
    if (model.is_null()) {
        hardware = hardware_json(loaded.backends->registry());
        RZ_ASSIGN(model, model_json(options, loaded.engine->file(), shows_digest(options)));
    }
    std::vector<std::unique_ptr<bench::Contender>> contenders;
    contenders.push_back(bench::realizar_contender(loaded.engine, "realizar"));
    const bool roof = options.peer == "memory";
    const uint32_t threads = loaded.backends->host().threads();
    if (!options.peer.empty()) {
        RZ_ASSIGN(auto peer, roof ? bench::memory_contender(*loaded.engine, threads)
                                  : make_peer(options, sequences, threads));
        contenders.push_back(std::move(peer));
    }
    std::vector<std::array<uint8_t, 16>> gpus;
    const rz_device_info &info = loaded.engine->runner().devices().front()->info();
    if (info.kind != RZ_DEVICE_CPU) {
        gpus.emplace_back();
        std::memcpy(gpus.back().data(), info.uuid, sizeof info.uuid);
    }
    const auto sensors = bench::machine_sensors(gpus);
    bench::StopRule rule = options.rule;
    if (!gpus.empty()) rule.warm_up_s = 2; // a GPU needs a while to leave its idle clocks
    RZ_ASSIGN(auto tests, bench::measure(contenders, work, rule, progress, sensors.get()));
    std::ranges::move(tests, std::back_inserter(measured));
    const bench::Subject ours = subject_of(options, loaded, model);
    const bench::StepBytes bytes(*loaded.engine);
    for (size_t i = 0; i < measured.size(); ++i) {
        const bool own = measured[i].contender == contenders.front()->name();
        const bench::Subject subject = own ? ours : peer_subject(ours, options.peer);
        Json entry = bench::entry_json(subject, measured[i], options.rule);
        if (own && i + 1 < measured.size() && measured[i + 1].contender != measured[i].contender)
            entry["ratio_to_peer"] = measured[i].median() / measured[i + 1].median();
        if (own && roof && i >= loads)
            entry["roof"] =
                bench::roof_json(bytes.mean_of(measured[i].work), measured[i], measured[i + 1]);
        entries.push_back(std::move(entry));
    }
    return {};
}

// The devices that --all-backends runs, as "plugin" and "device" of a request. The reference is no
// plugin, and computes for seconds what others compute in milliseconds.
Status measure_all(const BenchOptions &options, const std::vector<bench::Workload> &work,
                   Json &entries, Json &model, Json &hardware) {
    RZ_ASSIGN(const auto backends, open_backends(options));
    hardware = hardware_json(backends->registry());
    for (const PluginRecord &record : backends->registry().records()) {
        if (record.path.empty()) continue;
        if (record.state != PluginState::ready && !options.all_gpus)
            entries.push_back(
                bench::skipped_json(record.id.empty() ? record.path.filename().string() : record.id,
                                    "", record.reason));
        for (const rz_device_info &info : record.devices) {
            if (record.state != PluginState::ready) break;
            if (options.all_gpus && info.kind == RZ_DEVICE_CPU) continue;
            BenchOptions one = options;
            one.device = {record.id, info.id, options.device.require};
            const Status status = measure_one(one, work, entries, model, hardware);
            if (status.ok()) continue;
            if (status.error().code == Code::cancelled) return status;
            entries.push_back(
                bench::skipped_json(record.id, printable(info.name), status.error().message));
        }
    }
    if (entries.empty())
        return make_error(Code::unavailable, "no_device", "%s was found",
                          options.all_gpus ? "no GPU" : "no backend");
    return {};
}

Status check(const BenchOptions &options, const std::vector<bench::Workload> &work) {
    if (work.empty() && !options.load)
        return make_error(Code::invalid_argument, "no_test",
                          "expected at least one of -p and -n above 0, or --load");
    if (options.peer == "memory" &&
        std::ranges::any_of(work, [](const auto &one) { return one.prompt > 0; }))
        return make_error(Code::invalid_argument, "no_prompts",
                          "memory is a peer of decoding only: expected -p 0 with it");
    if (!options.peer.empty() && options.peer != "memory" && options.model.empty())
        return make_error(Code::invalid_argument, "no_model",
                          "a peer needs a model file: expected one with -m");
    if ((options.all_backends || options.all_gpus) &&
        (options.device.backend != "auto" || !options.device.device.empty()))
        return make_error(Code::invalid_argument, "two_choices",
                          "expected --all-backends, --all-gpus or a choice of --backend and "
                          "--device, found both");
    return {};
}

} // namespace

Result<std::unique_ptr<bench::Contender>> make_peer(const BenchOptions &options, uint32_t sequences,
                                                    uint32_t threads) {
    std::string folder = options.peer_folder;
    if (const char *set = std::getenv("REALIZAR_PEER_LLAMA_CPP"); folder.empty() && set)
        folder = set;
    if (folder.empty())
        return make_error(Code::invalid_argument, "no_peer_folder",
                          "expected the folder of the peer's libraries with --peer-llama-cpp or in "
                          "$REALIZAR_PEER_LLAMA_CPP");
    constexpr int kAllLayers = 999;
    const bool gpu = options.peer.ends_with("=vulkan") || options.peer.ends_with("=cuda");
    return bench::llama_cpp_contender(folder, options.model, static_cast<int>(threads),
                                      options.context, sequences,
                                      gpu ? kAllLayers : options.gpu_layers);
}

Result<Json> run_benchmark(const BenchOptions &given) {
    BenchOptions options = given;
    if (options.peer.empty() && !options.peer_folder.empty()) options.peer = "llama.cpp";
    const bool all = options.all_backends || options.all_gpus;
    constexpr double kBudget = 10, kBudgetOfEach = 5; // three devices: under two minutes
    options.rule.budget_s = options.budget.value_or(all ? kBudgetOfEach : kBudget);
    if (options.repetitions) {
        options.rule.least = options.rule.most = *options.repetitions;
        options.rule.budget_s = 0;
    }
    const std::vector<bench::Workload> work = workloads(options);
    RZ_TRY(check(options, work));
    if (options.context == 0) {
        constexpr uint32_t kOnlyLoaded = 512; // the same for all who load
        options.context = work.empty() ? kOnlyLoaded : 0;
        for (const bench::Workload &one : work)
            options.context = std::max(options.context, one.context());
    }
    Json entries = Json::array(), model, hardware;
    RZ_TRY((all ? measure_all : measure_one)(options, work, entries, model, hardware));
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return bench::document_json(std::move(entries), std::move(hardware), std::move(model),
                                std::chrono::duration_cast<std::chrono::seconds>(now).count());
}

std::string default_history() {
    namespace fs = std::filesystem;
    const char *data = std::getenv("XDG_DATA_HOME"), *home = std::getenv("HOME");
    if (data && data[0] == '/') return fs::path(data) / "realizar" / "bench.jsonl";
    if (home && home[0] == '/') return fs::path(home) / ".local/share/realizar/bench.jsonl";
    return {};
}

} // namespace realizar::cli
