// Matrix products on every device, and whether the planner finds the best one for each.
#include "bench/suites/cases.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

namespace realizar::bench {
namespace {

struct Size {
    int64_t m, k, n;
    double work() const {
        return static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(n);
    }
};
// By work within each number of rows: what decoding and prompts of models from 64 to 4096 wide ask for.
constexpr Size kSizes[] = {
    {1, 64, 64},       {1, 256, 256},     {1, 1024, 1024},  {1, 4096, 4096},    {1, 4096, 11008},
    {8, 64, 64},       {8, 256, 256},     {8, 1024, 1024},  {8, 4096, 4096},    {64, 64, 64},
    {64, 256, 256},    {64, 1024, 1024},  {64, 4096, 4096}, {512, 64, 64},      {512, 256, 256},
    {512, 1024, 1024}, {512, 4096, 4096}, {2048, 256, 256}, {2048, 1024, 1024}, {2048, 4096, 11008},
};
constexpr DType kWeights = DType::Q8_0;
// A product that is expected to take longer is left out on that device, and so is one above kShort seconds
// that takes kHopeless times what another device took: software GPUs would measure for minutes.
constexpr double kMostSeconds = 2, kShort = 0.05, kHopeless = 10;

// What a device has shown: seconds for a multiplication, of its largest product so far.
class Speed {
  public:
    double pace() const { return pace_; }
    // `best`: of the others, in seconds.
    bool too_slow(const Size &size, double best) const {
        const double expected = pace_ * size.work();
        return expected > kMostSeconds || (expected > kShort && expected > kHopeless * best);
    }
    void saw(const Size &size, double seconds) {
        // Small products are mostly the way there and back.
        if (seconds > kShort) pace_ = seconds / size.work();
    }

  private:
    double pace_ = 0;
};

struct Choice {
    std::string device;
    std::optional<double> predicted; // seconds; nothing where there was no choice
};

// One product as the planner sees a model.
Result<Choice> plan_product(const Size &size, const std::vector<DevicePtr> &devices,
                            const std::shared_ptr<CostStore> &store) {
    if (devices.size() == 1) return Choice{devices.front()->label(), std::nullopt};
    GraphBuilder b;
    const TensorId x = b.input("x", DType::F32, {b.symbol(1, size.m, size.m), size.k});
    b.output(b.matmul(b.weight("w", kWeights, {size.n, size.k}, seed_of("w")), x), "y");
    RZ_ASSIGN(Graph graph, std::move(b).build());
    RZ_ASSIGN(const auto rows, made_up_rows(kWeights, static_cast<uint64_t>(size.n),
                                            static_cast<uint64_t>(size.k), seed_of("w")));
    std::vector<float> values(static_cast<size_t>(size.m * size.k));
    for (size_t i = 0; i < values.size(); ++i)
        values[i] = made_up(seed_of("x"), i);
    StepSample sample{"product", 0, {size.m}, {}, 1};
    const auto bytes = std::as_bytes(std::span(values));
    sample.inputs.emplace_back(x, std::vector<std::byte>(bytes.begin(), bytes.end()));
    PlanOptions options;
    options.devices = devices;
    options.by_cost = true;
    options.samples.push_back(std::move(sample));
    options.weights = [&](uint64_t) -> Result<WeightBytes> {
        return WeightBytes{{rows}, kWeights};
    };
    options.store = store;
    ModelPlanner planner(std::move(options));
    RZ_ASSIGN(const auto placed, planner.place({&graph, 1}, {}));
    Choice choice{devices[placed.front().front().device]->label(), std::nullopt};
    if (planner.report().by_cost) choice.predicted = planner.report().seconds.front();
    return choice;
}

Result<double> time_product(Bed &bed, const DevicePtr &device, const Size &size) {
    RZ_ASSIGN(Graph graph, matmul_graph(size.m, size.k, size.n, kWeights));
    RZ_ASSIGN(KernelCase kernel, KernelCase::create(device, std::move(graph)));
    return median_seconds(bed.seconds / 4, [&] { return kernel.step(true); });
}

Json milliseconds(std::optional<double> seconds) {
    return seconds ? Json(*seconds * 1e3) : Json(nullptr);
}

Result<Json> run_size(Bed &bed, const Size &size, std::vector<Speed> &speeds,
                      const std::shared_ptr<CostStore> &store) {
    std::vector<DevicePtr> able;
    std::map<std::string, double> seconds;
    Json times = Json::object();
    std::vector<size_t> order(bed.devices.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, {}, [&](size_t d) { return speeds[d].pace(); });
    double best = std::numeric_limits<double>::infinity();
    for (const size_t d : order) {
        const std::string label = bed.devices[d]->label();
        times[label] = nullptr;
        if (speeds[d].too_slow(size, best)) continue;
        const auto time = time_product(bed, bed.devices[d], size);
        if (!time.ok()) continue; // no memory, or not this operator
        speeds[d].saw(size, *time);
        seconds[label] = *time;
        times[label] = *time * 1e3;
        best = std::min(best, *time);
        able.push_back(bed.devices[d]);
    }
    Json row = {{"m", size.m},      {"k", size.k},       {"n", size.n},
                {"ms", times},      {"chosen", nullptr}, {"predicted_ms", nullptr},
                {"error", nullptr}, {"regret", nullptr}};
    if (able.empty()) return row;
    RZ_ASSIGN(const Choice choice, plan_product(size, able, store));
    const double taken = seconds.at(choice.device);
    row["chosen"] = choice.device;
    row["predicted_ms"] = milliseconds(choice.predicted);
    if (choice.predicted) row["error"] = *choice.predicted / taken - 1;
    row["regret"] = taken / best - 1;
    return row;
}

// From which work on `device` is faster than `base` for all larger products with such rows.
Json crossover_of(const Json &rows, const std::string &base, const std::string &device, bool one) {
    std::vector<std::pair<double, bool>> faster; // work
    for (const Json &row : rows) {
        const Json &here = row["ms"][device], &there = row["ms"][base];
        if ((row["m"] == 1) != one || !there.is_number()) continue;
        const double work =
            row["m"].get<double>() * row["k"].get<double>() * row["n"].get<double>();
        // What was left out took too long.
        faster.emplace_back(work, here.is_number() && here.get<double>() < there.get<double>());
    }
    std::ranges::sort(faster);
    Json from = nullptr;
    for (auto i = faster.rbegin(); i != faster.rend() && i->second; ++i)
        from = i->first;
    return from;
}

std::string time_text(const Json &milliseconds) {
    return milliseconds.is_number() ? format_text("%12.4f", milliseconds.get<double>())
                                    : format_text("%12s", "-");
}
std::string share_text(const Json &share) {
    return share.is_number() ? format_text("%8.1f %%", 100 * share.get<double>())
                             : format_text("%10s", "-");
}

} // namespace

Result<Json> run_crossover(Bed &bed) {
    if (bed.devices.empty()) return missing("no device was found");
    std::vector<Speed> speeds(bed.devices.size());
    const auto store = std::make_shared<CostStore>();
    Json rows = Json::array(), crossings = Json::array();
    for (const Size &size : kSizes) {
        const std::string name =
            format_text("%lld x %lld x %lld", static_cast<long long>(size.m),
                        static_cast<long long>(size.k), static_cast<long long>(size.n));
        if (bed.progress && !bed.progress(name)) break; // with what there is
        RZ_ASSIGN(Json row, run_size(bed, size, speeds, store));
        rows.push_back(std::move(row));
    }
    if (rows.empty()) return make_error(Code::cancelled, "cancelled", "the suite was cancelled");
    const DevicePtr base = bed.cpu ? bed.cpu : bed.devices.front();
    for (const DevicePtr &device : bed.devices)
        for (const bool one : {true, false})
            if (device->label() != base->label())
                crossings.push_back(
                    {{"from", base->label()},
                     {"to", device->label()},
                     {"rows", one ? "1" : "8 and more"},
                     {"multiplications", crossover_of(rows, base->label(), device->label(), one)}});
    return Json{{"products", std::move(rows)}, {"crossovers", std::move(crossings)}};
}

std::string crossover_text(const Json &document) {
    std::string out = format_text("%-22s", "m x k x n, ms");
    const Json &rows = document["products"];
    for (const auto &[device, time] : rows.front()["ms"].items())
        out += format_text("%12s", device.c_str());
    out += "  chosen       predicted     error    regret\n";
    double worst = 0;
    for (const Json &row : rows) {
        const std::string size =
            row["m"].dump() + " x " + row["k"].dump() + " x " + row["n"].dump();
        out += format_text("%-22s", size.c_str());
        for (const auto &[device, time] : row["ms"].items())
            out += time_text(time);
        const std::string chosen =
            row["chosen"].is_string() ? row["chosen"].get<std::string>() : "-";
        out += format_text("  %-10s", chosen.c_str()) + time_text(row["predicted_ms"]) +
               share_text(row["error"]) + share_text(row["regret"]) + "\n";
        if (row["regret"].is_number()) worst = std::max(worst, row["regret"].get<double>());
    }
    out += format_text("\nlargest regret %.1f %%\n", 100 * worst);
    for (const Json &crossing : document["crossovers"]) {
        const Json &from = crossing["multiplications"];
        out += crossing["to"].get<std::string>() + " instead of " +
               crossing["from"].get<std::string>() + ", rows " +
               crossing["rows"].get<std::string>() + ": " +
               (from.is_number()
                    ? format_text("faster from %.3g multiplications on", from.get<double>())
                    : std::string("not faster at any size")) +
               "\n";
    }
    return out;
}

} // namespace realizar::bench
