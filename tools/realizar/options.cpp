#include "tools/realizar/options.h"

#include "core/common/fnv.h"
#include "models/builtin.h"
#include "tools/realizar/interrupt.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace realizar::cli {
namespace {

// Large GPUs are idle in parts with fewer rows; what a step of theirs keeps is 2 GiB at most for the
// models that they hold.
uint32_t default_batch(const Device &device, uint64_t weight_bytes) {
    constexpr uint32_t kUsual = 512, kLarge = 2048;
    constexpr uint64_t kSpare = uint64_t{4} << 30;
    const rz_device_info &info = device.info();
    const uint64_t free = info.memory_free > 0 ? info.memory_free : info.memory_total;
    const bool large =
        info.kind == RZ_DEVICE_GPU && free > kSpare && weight_bytes <= (free - kSpare) / 2;
    return large ? kLarge : kUsual;
}

uint32_t batch_rows(const ModelOptions &options, const Device &device, const GgufFile &file) {
    if (options.batch && options.ubatch) return std::min(*options.batch, *options.ubatch);
    if (options.batch || options.ubatch) return options.batch.value_or(options.ubatch.value_or(0));
    uint64_t bytes = 0;
    for (const GgufTensor &tensor : file.tensors())
        bytes += tensor.data.size();
    return default_batch(device, bytes);
}

void print_choice(const DeviceChoice &choice, const BackendOptions &options) {
    for (const std::string &note : choice.notes)
        print_note("passed over: " + note);
    const std::string first = choice.devices.front()->label();
    if (options.device.backend == "auto" && options.device.device.empty() &&
        first.starts_with("reference:"))
        print_note("no other backend is ready, so the reference computes: correct but very slow "
                   "(see 'realizar plugins')");
    if (!options.verbose) return;
    for (const DevicePtr &device : choice.devices)
        print_note("device " + device->label() + ": " + printable(device->info().name) + ", " +
                   printable(device->info().isa));
}

void print_loaded(const LoadedModel &loaded) {
    const Engine &engine = *loaded.engine;
    const Runner &runner = engine.runner();
    for (const std::string &line : runner.describe_placement())
        print_note(line);
    print_note("memory: weights " + bytes_text(runner.weight_bytes()) + " of their own and " +
               bytes_text(runner.aliased_bytes()) + " read in place, KV cache " +
               bytes_text(runner.state_bytes()) + ", plugins " +
               bytes_text(loaded.backends->host().allocated()));
    print_note("context " + std::to_string(engine.context()) + " tokens, " +
               std::to_string(engine.batch()) + " per step, " +
               std::to_string(loaded.backends->host().threads()) + " threads");
}

// "6GiB", "512M", "1e9".
Result<uint64_t> parse_size(const std::string &text) {
    double value = 0;
    const char *end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    const std::string_view unit(rest, static_cast<size_t>(end - rest));
    constexpr std::string_view kUnits = "KMGT";
    double factor = 1;
    bool good = error == std::errc() && value >= 0;
    if (!unit.empty()) {
        const size_t power = kUnits.find(unit[0]);
        good =
            good && power != std::string_view::npos && (unit.size() == 1 || unit.substr(1) == "iB");
        factor = std::pow(1024.0, static_cast<double>(power) + 1);
    }
    if (good && value * factor < 0x1p62) return static_cast<uint64_t>(value * factor);
    return make_error(Code::invalid_argument, "bad_option",
                      "--device-memory: expected a size such as 6GiB, found '%s'",
                      printable(text).c_str());
}

// Limits by device.
Result<std::vector<uint64_t>> parse_memory(const std::vector<std::string> &options,
                                           const std::vector<DevicePtr> &devices) {
    std::vector<uint64_t> limits(devices.size(), 0);
    for (const std::string &option : options) {
        const size_t equals = option.find('=');
        const std::string id = equals == std::string::npos ? "" : option.substr(0, equals);
        RZ_ASSIGN(const uint64_t size, parse_size(id.empty() ? option : option.substr(equals + 1)));
        bool found = id.empty();
        for (size_t d = 0; d < devices.size(); ++d) {
            const std::string label = devices[d]->label();
            const std::string plugin = label.substr(0, label.find(':'));
            const bool host = plugin == "cpu" || plugin == "reference";
            if (id.empty() ? host : id != label && id != plugin) continue;
            limits[d] = std::max<uint64_t>(size, 1); // 0 would be no limit
            found = true;
        }
        if (!found)
            return make_error(Code::invalid_argument, "bad_option",
                              "--device-memory: device '%s' is not used", printable(id).c_str());
    }
    return limits;
}

} // namespace

void add_plugin_path_option(CLI::App &command, BackendOptions &options) {
    command
        .add_option("--plugin-path", options.plugin_path,
                    "absolute folder of plugins instead of the default ones (repeatable)")
        ->type_name("FOLDER")
        ->allow_extra_args(false);
}

void add_threads_option(CLI::App &command, BackendOptions &options) {
    command.add_option("-t,--threads", options.threads, "compute threads (default: all cores)")
        ->check(CLI::Range(1u, 4096u));
}

void add_verbose_option(CLI::App &command, BackendOptions &options) {
    command.add_flag("-v,--verbose", options.verbose, "say more on standard error");
}

void add_model_option(CLI::App &command, std::string &model) {
    command.add_option("-m,--model", model, "GGUF file (default: the built-in model)")
        ->type_name("FILE");
}

void add_engine_options(CLI::App &command, ModelOptions &options) {
    add_model_option(command, options.model);
    command
        .add_option("--backend", options.device.backend,
                    "auto; the id of a plugin (see 'realizar plugins'); several with commas, or "
                    "all: what is fastest of them")
        ->type_name("ID")
        ->capture_default_str();
    command.add_option("--device", options.device.device, "device of the backend, by id or number")
        ->type_name("ID");
    command.add_flag("--require-device", options.device.require,
                     "fail instead of running a part elsewhere");
    command
        .add_option("--deny-device", options.device.deny,
                    "leave a plugin or a device such as vulkan:1 alone (repeatable)")
        ->type_name("ID")
        ->allow_extra_args(false);
    command
        .add_option("--device-memory", options.device_memory,
                    "what weights and cache may take, such as 6GiB, on each device but the CPU, or "
                    "vulkan:0=6GiB on one (repeatable)")
        ->type_name("SIZE")
        ->allow_extra_args(false);
    add_plugin_path_option(command, options);
    add_threads_option(command, options);
    command
        .add_option("-c,--ctx-size", options.context,
                    "context in tokens (default: the model's, at most 4096)")
        ->check(CLI::NonNegativeNumber);
    command.add_option("-b,--batch-size", options.batch,
                       "prompt tokens per step (default: 512, or 2048 on a GPU "
                       "with much free memory)");
    command.add_option("--ubatch-size", options.ubatch,
                       "the same (-ub); if both are given, the smaller one counts");
    const CLI::IsMember types({"f16", "f32", "q8_0", "q4_0"}, CLI::ignore_case);
    command.add_option("--cache-type-k", options.key_type, "type of cached keys (-ctk)")
        ->check(types)
        ->capture_default_str();
    command.add_option("--cache-type-v", options.value_type, "type of cached values (-ctv)")
        ->check(types)
        ->capture_default_str();
    command.add_flag("--check-tensors", options.check_tensors,
                     "look for NaN and Inf in all weights before the start");
    add_verbose_option(command, options);
}

void CloseBackends::operator()(Backends *backends) const {
    Interrupt::let_go(&backends->host());
    delete backends;
}

Result<OpenBackends> open_backends(const BackendOptions &options) {
    BackendsOptions open;
    open.registry = default_registry_options();
    if (!options.plugin_path.empty())
        open.registry.folders.assign(options.plugin_path.begin(), options.plugin_path.end());
    open.host.threads = options.threads;
    open.host.cache_folder = open.registry.probe_cache.parent_path();
    const uint32_t least = options.verbose ? RZ_LOG_INFO : RZ_LOG_WARNING;
    open.host.log = [least](uint32_t level, const std::string &plugin, const std::string &message) {
        if (level >= least) print_note(plugin + ": " + printable(message, 500));
    };
    RZ_ASSIGN(std::unique_ptr<Backends> backends, Backends::open(std::move(open)));
    Interrupt::watch(&backends->host());
    return OpenBackends(backends.release());
}

Result<std::shared_ptr<const GgufFile>> open_model(const std::string &path) {
    if (!path.empty()) return GgufFile::open(path);
    const BuiltinModel model = builtin_model();
    if (model.bytes.empty())
        return make_error(Code::invalid_argument, "no_builtin_model",
                          "this build has no built-in model: expected a file with -m");
    return GgufFile::parse(model.bytes, std::string(model.name) + " (built in)");
}

namespace {

struct Prepared {
    OpenBackends backends;
    std::shared_ptr<const GgufFile> file;
    EngineOptions engine;
};

// What a choice of devices was made for: all that its costs come from. Empty: there is no choice.
std::string decision_name(const ModelOptions &options, const GgufFile &file,
                          const Backends &backends, uint32_t sequences) {
    const std::string compared = backends.compared(options.device);
    if (compared.empty()) return "";
    Fnv fnv;
    for (const std::string &text : {compared, options.key_type, options.value_type})
        fnv.text(text);
    for (const std::string &limit : options.device_memory)
        fnv.text(limit);
    for (const uint64_t number :
         {uint64_t{options.context}, uint64_t{options.sinks}, uint64_t{options.batch.value_or(0)},
          uint64_t{options.ubatch.value_or(0)}, uint64_t{sequences}, file.size()})
        fnv.number(number);
    for (const GgufTensor &tensor : file.tensors()) {
        fnv.text(tensor.name);
        fnv.number(static_cast<uint64_t>(tensor.dtype));
        fnv.number(tensor.data.size());
    }
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(fnv.hash()));
    return text;
}

// With `decided` a choice of devices that was made for such a model before is enough.
Result<Prepared> prepare(const ModelOptions &options, uint32_t logit_rows, uint32_t sequences,
                         bool decided) {
    Prepared loaded;
    RZ_ASSIGN(auto file, open_model(options.model));
    RZ_ASSIGN(loaded.backends, open_backends(options));
    EngineOptions &engine = loaded.engine;
    if (const auto folder = default_registry_options().probe_cache.parent_path(); !folder.empty())
        engine.placement.costs = folder / "costs.json";
    DeviceRequest request = options.device;
    if (!engine.placement.costs.empty())
        engine.placement.decision = decision_name(options, *file, *loaded.backends, sequences);
    if (decided && !engine.placement.decision.empty()) {
        const CostStore costs(engine.placement.costs);
        if (const auto *devices = costs.decision(engine.placement.decision))
            request.only = *devices;
    }
    RZ_ASSIGN(DeviceChoice choice, loaded.backends->choose(request));
    print_choice(choice, options);
    RZ_ASSIGN(engine.placement.memory, parse_memory(options.device_memory, choice.devices));
    engine.placement.by_cost = choice.compare;
    engine.placement.threads = loaded.backends->host().threads();
    engine.notice = [](const std::string &text) { print_note(text); };
    engine.batch = batch_rows(options, *choice.devices.front(), *file);
    engine.devices = std::move(choice.devices);
    engine.require_first = options.device.require;
    engine.context = options.context;
    engine.sinks = options.sinks;
    engine.sequences = sequences;
    engine.logit_rows = std::min(logit_rows, std::max(engine.batch, 1u));
    engine.key_type = *dtype_from_name(options.key_type);
    engine.value_type = *dtype_from_name(options.value_type);
    engine.check_tensors = options.check_tensors;
    engine.observer = options.observer;
    loaded.file = std::move(file);
    return loaded;
}

} // namespace

Result<LoadedModel> load_model(const ModelOptions &options, uint32_t logit_rows,
                               uint32_t sequences) {
    const Stopwatch watch;
    LoadedModel loaded;
    RZ_ASSIGN(Prepared prepared, prepare(options, logit_rows, sequences, true));
    loaded.backends = std::move(prepared.backends);
    EngineOptions &engine = prepared.engine;
    Progress measuring("measuring");
    engine.placement.progress = [&](uint64_t done, uint64_t total) {
        return measuring.show(done, total);
    };
    Progress progress("loading");
    engine.progress = [&](uint64_t done, uint64_t total) {
        measuring.clear();
        return progress.show(done, total);
    };
    RZ_ASSIGN(loaded.engine, Engine::load(std::move(prepared.file), engine));
    progress.clear();
    loaded.load_ms = watch.milliseconds();
    if (options.verbose) print_loaded(loaded);
    return loaded;
}

Result<PlannedModel> plan_model(const ModelOptions &options) {
    RZ_ASSIGN(Prepared prepared, prepare(options, 1, 1, false));
    Progress measuring("measuring");
    prepared.engine.placement.progress = [&](uint64_t done, uint64_t total) {
        return measuring.show(done, total);
    };
    RZ_ASSIGN(ModelPlan plan, Engine::plan(std::move(prepared.file), prepared.engine));
    return PlannedModel{std::move(prepared.backends), std::move(plan)};
}

Json placement_json(const Runner &runner) {
    Json list = Json::array();
    for (const PlacedRegion &region : runner.placement())
        list.push_back({{"device", runner.devices()[region.device]->label()},
                        {"nodes", {region.begin, region.end - 1}},
                        {"reason", region.reason}});
    return list;
}

Result<std::string> read_text(const std::string &path) {
    const auto failed = [&](const char *tag, const char *what) {
        return make_error(Code::io, tag, "%s: %s: %s", printable(path, 200).c_str(), what,
                          std::strerror(errno));
    };
    const bool standard = path == "-";
    const std::unique_ptr<std::FILE, int (*)(std::FILE *)> opened(
        standard ? nullptr : std::fopen(path.c_str(), "rb"), std::fclose);
    if (!standard && !opened) return failed("open_failed", "cannot be opened");
    std::FILE *file = standard ? stdin : opened.get();
    std::string text;
    char piece[1 << 16];
    while (const size_t count = std::fread(piece, 1, sizeof piece, file)) {
        text.append(piece, count);
        if (text.size() > Tokenizer::kMaxTextBytes)
            return make_error(Code::invalid_argument, "text_too_long",
                              "%s: expected at most %zu bytes of text",
                              printable(path, 200).c_str(), Tokenizer::kMaxTextBytes);
    }
    if (std::ferror(file)) {
        if (Interrupt::requested())
            return make_error(Code::cancelled, "cancelled", "reading was cancelled");
        return failed("read_failed", "cannot be read");
    }
    return text;
}

} // namespace realizar::cli
