// realizar bench --suite: named checks instead of a workload.
#include "bench/suites/suite.h"
#include "tools/realizar/bench_subject.h"
#include "tools/realizar/interrupt.h"

#include <algorithm>

namespace realizar::cli {
namespace {

bool is_gpu(const rz_device_info &info) {
    return info.kind == RZ_DEVICE_GPU || info.kind == RZ_DEVICE_INTEGRATED_GPU ||
           info.kind == RZ_DEVICE_ACCELERATOR;
}

Result<DevicePtr> first_of(Backends &backends, const DeviceRequest &request) {
    RZ_ASSIGN(const DeviceChoice choice, backends.choose(request));
    return choice.devices.front();
}

// The device that is named, whatever it is, else a GPU.
Result<DevicePtr> find_gpu(Backends &backends, const DeviceRequest &wanted) {
    if (wanted.backend == "auto" && wanted.device.empty()) {
        RZ_ASSIGN(const DeviceChoice choice, backends.choose({"all", "", false, wanted.deny}));
        for (const DevicePtr &device : choice.devices)
            if (is_gpu(device->info())) return device;
        return make_error(Code::unavailable, "no_gpu",
                          "no GPU was found (a device named with --backend or --device is taken "
                          "whatever it is)");
    }
    DeviceRequest one = wanted;
    one.require = true;
    return first_of(backends, one);
}

Result<bench::Bed> make_bed(const BenchOptions &options, Backends &backends) {
    bench::Bed bed;
    RZ_ASSIGN(bed.file, open_model(options.model));
    bed.path = options.model;
    const auto take = [](Result<DevicePtr> found, DevicePtr &device, std::string &why) {
        if (found.ok()) device = *found;
        if (!found.ok()) why = found.error().message;
    };
    std::string no_reference;
    take(first_of(backends, {"cpu", "", true, options.device.deny}), bed.cpu, bed.no_cpu);
    take(find_gpu(backends, options.device), bed.gpu, bed.no_gpu);
    take(first_of(backends, {"reference", "", true}), bed.reference, no_reference);
    DeviceRequest all = options.device;
    if (all.backend == "auto" && all.device.empty()) all.backend = "all";
    RZ_ASSIGN(const DeviceChoice choice, backends.choose(all));
    for (const DevicePtr &device : choice.devices)
        if (!bed.reference || device->label() != bed.reference->label())
            bed.devices.push_back(device);
    bed.progress = [&options](const std::string &id) {
        if (options.verbose) print_note(id);
        return !Interrupt::requested();
    };
    if (!options.model.empty() && !(options.peer.empty() && options.peer_folder.empty()))
        bed.peer = [&options, threads = backends.host().threads()](const DevicePtr &device,
                                                                   uint32_t context) {
            BenchOptions peer = options;
            if (peer.peer.empty() || peer.peer == "llama.cpp")
                peer.peer = is_gpu(device->info()) ? "llama.cpp=cuda" : "llama.cpp=cpu";
            peer.context = context;
            return make_peer(peer, 1, threads);
        };
    return bed;
}

Json run_parity(bench::Bed &bed, Json document) {
    std::vector<bench::Check> checks;
    for (const auto part : {bench::parity_cpu(), bench::parity_kernels(), bench::parity_models()})
        checks.insert(checks.end(), part.begin(), part.end());
    std::ranges::sort(checks, {}, [](const bench::Check &check) { return std::string(check.id); });
    Json rows = Json::array();
    for (const bench::Check &check : checks)
        rows.push_back(bench::run_check(check, bed));
    document["checks"] = std::move(rows);
    document["counts"] = bench::count_checks(document["checks"]);
    return document;
}

} // namespace

Status run_suite(const BenchOptions &options) {
    if (options.output != "table" && options.output != "json")
        return make_error(Code::invalid_argument, "bad_output",
                          "a suite has no output '%s': expected -o table or json",
                          options.output.c_str());
    RZ_ASSIGN(const auto backends, open_backends(options));
    RZ_ASSIGN(bench::Bed bed, make_bed(options, *backends));
    Json document = bench::suite_json(options.suite, bed, hardware_json(backends->registry()));
    const bool parity = options.suite == "parity";
    if (parity) {
        document = run_parity(bed, std::move(document));
    } else {
        RZ_ASSIGN(const Json results, bench::run_crossover(bed));
        document.update(results);
    }
    if (options.output == "json")
        print_json(document, 2);
    else
        print_text(parity ? bench::checks_text(document) : bench::crossover_text(document));
    if (Interrupt::requested())
        return make_error(Code::cancelled, "cancelled", "the suite was cancelled");
    if (!parity || document["counts"]["fail"] == 0) return {};
    return make_error(Code::internal, "check_failed", "%d checks failed",
                      document["counts"]["fail"].get<int>());
}

} // namespace realizar::cli
