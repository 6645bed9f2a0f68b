#include "bench/suites/suite.h"

namespace realizar::bench {
namespace {

// Work that the device has counted; nothing where it does not count.
std::optional<rz_counters> counted(const DevicePtr &device) {
    if (!device) return std::nullopt;
    const auto counters = device->counters();
    return counters.ok() ? std::optional(*counters) : std::nullopt;
}

std::string device_note(const DevicePtr &device, const rz_counters &before,
                        const rz_counters &after) {
    return format_text("%llu submissions and %llu dispatches on %s",
                       static_cast<unsigned long long>(after.submissions - before.submissions),
                       static_cast<unsigned long long>(after.dispatches - before.dispatches),
                       device->label().c_str());
}

bool skips(const Error &error) {
    return error.code == Code::unavailable || error.code == Code::unsupported ||
           error.code == Code::out_of_memory || error.code == Code::cancelled;
}

Result<Finding> attempt(const Check &check, Bed &bed) {
    if (bed.progress && !bed.progress(check.id))
        return make_error(Code::cancelled, "cancelled", "the suite was cancelled");
    if (check.needs == Needs::gpu && !bed.gpu) return missing(bed.no_gpu);
    if (check.needs == Needs::cpu && !bed.cpu) return missing(bed.no_cpu);
    return check.run(bed);
}

std::string figure(const Json &value) {
    if (!value.is_number()) return "-";
    return format_text("%.4g", value.get<double>());
}

std::string padded(std::string text, size_t width, bool right) {
    if (text.size() >= width) return text;
    return right ? std::string(width - text.size(), ' ') + text
                 : text + std::string(width - text.size(), ' ');
}

} // namespace

Error missing(const std::string &what) {
    return make_error(Code::unavailable, "missing_means", "%s", what.c_str());
}

Error wrong_result(const std::string &what) {
    return make_error(Code::internal, "wrong_result", "%s", what.c_str());
}

EngineOptions Bed::options(const DevicePtr &device, uint32_t context) const {
    EngineOptions options;
    options.devices = {device};
    if (cpu && cpu != device) options.devices.push_back(cpu);
    options.context = context;
    return options;
}

Result<std::shared_ptr<Engine>> Bed::engine(const DevicePtr &device, uint32_t context) {
    if (kept_.engine && kept_.device == device && kept_.context >= context) return kept_.engine;
    kept_ = {};
    RZ_ASSIGN(auto loaded, Engine::load(file, options(device, context)));
    kept_ = {device, context, std::move(loaded)};
    return kept_.engine;
}

double Bed::parameters() const {
    double count = 0;
    for (const GgufTensor &tensor : file->tensors()) {
        const DTypeInfo &info = dtype_info(tensor.dtype);
        count += static_cast<double>(tensor.data.size()) / info.block_bytes * info.block_elements;
    }
    return count;
}

Json run_check(const Check &check, Bed &bed) {
    const DevicePtr device = check.needs == Needs::cpu   ? bed.cpu
                             : check.needs == Needs::gpu ? bed.gpu
                                                         : nullptr;
    const auto before = counted(device);
    auto finding = attempt(check, bed);
    const auto after = counted(device);
    Json row = {{"id", check.id},
                {"measures", check.measures},
                {"unit", check.unit},
                {"target", check.target},
                {"limit", check.limit},
                {"better", check.more ? "more" : "less"},
                {"value", nullptr},
                {"status", "skip"},
                {"device", device ? Json(device->label()) : Json(nullptr)},
                {"note", ""}};
    // A plugin that counts and has counted nothing did not do the work.
    if (finding.ok() && before && after && after->submissions > 0 &&
        after->submissions == before->submissions)
        finding = wrong_result("the device has counted no work");
    if (!finding.ok()) {
        row["status"] = skips(finding.error()) ? "skip" : "fail";
        row["note"] = finding.error().message;
        return row;
    }
    const auto reaches = [&](double bound) {
        return check.more ? finding->value >= bound : finding->value <= bound;
    };
    row["value"] = finding->value;
    row["status"] = reaches(check.target) ? "target" : reaches(check.limit) ? "pass" : "below";
    row["note"] = finding->note;
    if (before && after && after->submissions > before->submissions)
        row["note"] = row["note"].get<std::string>() + (finding->note.empty() ? "" : "; ") +
                      device_note(device, *before, *after);
    return row;
}

Json suite_json(const std::string &suite, const Bed &bed, Json environment) {
    Json devices = Json::array();
    for (const DevicePtr &device : bed.devices)
        devices.push_back({{"id", device->label()},
                           {"name", printable(device->info().name, 200)},
                           {"driver", printable(device->info().driver, 200)}});
    return {{"$schema", "suite-1.0.schema.json"},
            {"version", "1.0"},
            {"suite", suite},
            {"hardware", std::move(environment)},
            {"devices", std::move(devices)}};
}

Json count_checks(const Json &checks) {
    Json counts = {{"target", 0}, {"pass", 0}, {"below", 0}, {"fail", 0}, {"skip", 0}};
    for (const Json &check : checks) {
        Json &count = counts[check["status"].get<std::string>()];
        count = count.get<int>() + 1;
    }
    return counts;
}

std::string checks_text(const Json &document) {
    std::string out = "id       status  figure     limit      target     unit         what\n";
    for (const Json &check : document["checks"]) {
        const auto text = [&](const char *name) { return check[name].get<std::string>(); };
        const std::string sign = text("better") == "more" ? ">= " : "<= ";
        out += padded(text("id"), 9, false) + padded(text("status"), 8, false) +
               padded(figure(check["value"]), 9, true) + "  " +
               padded(sign + figure(check["limit"]), 9, true) + "  " +
               padded(figure(check["target"]), 9, true) + "  " + padded(text("unit"), 13, false) +
               text("measures") + "\n";
        if (!text("note").empty()) out += "         " + printable(text("note"), 300) + "\n";
    }
    const Json counts = count_checks(document["checks"]);
    out += "\n";
    for (const auto &[status, count] : counts.items())
        out += (out.back() == '\n' ? "" : ", ") + status + " " + count.dump();
    return out + " of " + std::to_string(document["checks"].size()) + "\n";
}

} // namespace realizar::bench
