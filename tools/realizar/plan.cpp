// realizar plan: where each part of a model would run, and why.
#include "bench/statistics.h"
#include "bench/workload.h"
#include "tools/realizar/commands.h"
#include "tools/realizar/interrupt.h"
#include "tools/realizar/options.h"

#include <algorithm>
#include <cstdio>
#include <memory>

namespace realizar::cli {
namespace {

constexpr const char *kFooter =
    R"(Measures what the parts of the model take on the devices, unless that is known from before, and
shows the placement with the least time for an answer of 128 tokens to a prompt of 512. "-" stands for
what was not measured: a device that is far slower than another one is not measured to the end.
--check loads the model as planned, and then on each device alone, and says how far each step was from
its prediction and how much longer the plan takes than the best single device.

Examples:
  realizar plan -m model.gguf
  realizar plan -m model.gguf --backend cpu,vulkan --device-memory vulkan=6GiB
  realizar plan -m model.gguf --backend all --check
  realizar plan -m model.gguf --deny-device opencl -c 8192 --json)";

struct PlanCommand : ModelOptions {
    bool json = false, check = false;
};

std::string label(const ModelPlan &plan, size_t device) { return plan.devices[device]->label(); }

Json time_or_null(double seconds) {
    return seconds == kRefused ? Json(nullptr) : Json(seconds * 1e3);
}

// All of a step on one device; kRefused where a part cannot run there or was not measured.
double alone(const ModelPlan &plan, size_t device, size_t step) {
    for (const PlanPart &part : plan.report.parts)
        if (!part.atom.runs[device] || part.cost[device][step].runs == 0) return kRefused;
    return plan.report.single[device][step];
}

Json part_json(const ModelPlan &plan, const PlanPart &part) {
    Json costs = Json::object(), measured = Json::object(), memory = Json::object();
    for (size_t d = 0; d < plan.devices.size(); ++d) {
        Json times = Json::array(), known = Json::array();
        for (const Cost &cost : part.cost[d]) {
            times.push_back(part.atom.runs[d] ? Json(cost.seconds * 1e3) : Json(nullptr));
            known.push_back(part.atom.runs[d] && cost.runs > 0);
        }
        costs[label(plan, d)] = std::move(times);
        measured[label(plan, d)] = std::move(known);
        memory[label(plan, d)] = part.memory[d];
    }
    Json chosen = Json::array();
    for (const size_t device : part.device)
        chosen.push_back(label(plan, device));
    return {{"nodes", {part.atom.begin, part.atom.end - 1}},
            {"name", part.atom.name},
            {"devices", std::move(chosen)},
            {"cost_ms", std::move(costs)},
            {"measured", std::move(measured)},
            {"memory", std::move(memory)}};
}

Json regions_json(const ModelPlan &plan) {
    Json list = Json::array();
    for (const Placement &placement : plan.placements) {
        Json regions = Json::array();
        for (const PlacedRegion &region : placement)
            regions.push_back({{"device", label(plan, region.device)},
                               {"nodes", {region.begin, region.end - 1}},
                               {"reason", region.reason}});
        list.push_back(std::move(regions));
    }
    return list;
}

Json plan_json(const ModelPlan &plan) {
    const PlanReport &report = plan.report;
    Json steps = Json::array(), parts = Json::array(), devices = Json::array();
    for (size_t s = 0; s < report.seconds.size(); ++s) {
        Json single = Json::object();
        for (size_t d = 0; d < plan.devices.size(); ++d)
            single[label(plan, d)] = time_or_null(alone(plan, d, s));
        steps.push_back({{"name", plan.samples[s].name},
                         {"variant", plan.samples[s].variant},
                         {"weight", plan.samples[s].weight},
                         {"predicted_ms", report.seconds[s] * 1e3},
                         {"single_ms", std::move(single)}});
    }
    for (size_t d = 0; d < plan.devices.size(); ++d) {
        Json entry = {{"id", label(plan, d)}, {"name", plan.devices[d]->info().name}};
        if (report.by_cost) {
            entry["launch_ms"] = report.links[d].launch * 1e3;
            entry["in_ms_per_mib"] = report.links[d].in * 1e3 * (1 << 20);
            entry["out_ms_per_mib"] = report.links[d].out * 1e3 * (1 << 20);
        }
        devices.push_back(std::move(entry));
    }
    for (const PlanPart &part : report.parts)
        parts.push_back(part_json(plan, part));
    return {{"by_cost", report.by_cost},       {"exact", report.exact},
            {"measuring_s", report.measuring}, {"devices", std::move(devices)},
            {"steps", std::move(steps)},       {"regions", regions_json(plan)},
            {"parts", std::move(parts)}};
}

std::string time_text(double seconds) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3f", seconds * 1e3);
    return seconds == kRefused ? "-" : text;
}

std::string column(const std::string &text, size_t width) {
    return std::string(width > text.size() ? width - text.size() : 0, ' ') + text;
}

std::string steps_text(const ModelPlan &plan) {
    std::string text;
    for (size_t s = 0; s < plan.report.seconds.size(); ++s) {
        text += plan.samples[s].name + ": " + time_text(plan.report.seconds[s]) + " ms (";
        for (size_t d = 0; d < plan.devices.size(); ++d)
            text += (d ? ", " : "") + label(plan, d) + " alone " + time_text(alone(plan, d, s));
        text += ")\n";
    }
    return text;
}

// A line for each part: its nodes, its device, and what it takes on each device, in milliseconds.
std::string parts_text(const ModelPlan &plan) {
    if (plan.report.parts.empty()) return "";
    constexpr size_t kName = 30, kDevice = 24, kTime = 10;
    std::string text = "\nms for each part: ";
    for (size_t s = 0; s < plan.samples.size(); ++s)
        text += (s ? ", " : "") + plan.samples[s].name;
    std::string head = "nodes         part";
    head.resize(14 + kName, ' ');
    head += "device";
    head.resize(14 + kName + kDevice, ' ');
    for (size_t d = 0; d < plan.devices.size(); ++d)
        head += column(label(plan, d), kTime * plan.samples.size()) + " ";
    text += "\n" + head + "\n";
    for (const PlanPart &part : plan.report.parts) {
        std::string line =
            column(std::to_string(part.atom.begin), 5) + "-" + std::to_string(part.atom.end - 1);
        line.resize(14, ' ');
        line += printable(part.atom.name, kName - 1);
        line.resize(14 + kName, ' ');
        line += label(plan, part.device.front());
        if (part.device.back() != part.device.front())
            line += ", prompts " + label(plan, part.device.back());
        line.resize(std::max(line.size(), 14 + kName + kDevice), ' ');
        for (size_t d = 0; d < plan.devices.size(); ++d) {
            for (const Cost &cost : part.cost[d])
                line += column(
                    time_text(part.atom.runs[d] && cost.runs > 0 ? cost.seconds : kRefused), kTime);
            line += " ";
        }
        text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return text + "\n";
}

std::string plan_text(const ModelPlan &plan) {
    std::string text = steps_text(plan) + parts_text(plan);
    for (size_t v = 0; v < plan.placements.size(); ++v)
        for (const PlacedRegion &region : plan.placements[v])
            text += std::string(v == 0 ? "tokens" : "prompts") + ": nodes " +
                    std::to_string(region.begin) + "-" + std::to_string(region.end - 1) + " on " +
                    label(plan, region.device) + ": " + region.reason + "\n";
    return text;
}

// The work of a step: rows behind so many positions, which for tokens are some around the planned one.
bench::Workload workload_of(const StepSample &sample) {
    constexpr uint32_t kTokens = 16;
    const auto rows = static_cast<uint32_t>(sample.symbols.front());
    const auto length = static_cast<uint32_t>(sample.symbols.back());
    if (rows > 1) return {rows, 0, length - rows, 1};
    const uint32_t decode = std::min(kTokens, length);
    return {0, decode, length - decode, 1};
}

// Seconds of each step of the plan with these options.
Result<std::vector<double>> time_steps(const ModelOptions &options,
                                       std::span<const StepSample> samples) {
    RZ_ASSIGN(const LoadedModel loaded, load_model(options));
    std::vector<std::unique_ptr<bench::Contender>> one;
    one.push_back(bench::realizar_contender(loaded.engine, "realizar"));
    std::vector<bench::Workload> work;
    for (const StepSample &sample : samples)
        work.push_back(workload_of(sample));
    bench::StopRule rule;
    rule.budget_s = 3;
    rule.warm_up_s = 0.5; // idle GPUs are slow at first
    RZ_ASSIGN(const auto rows, bench::measure(one, work, rule, [](const std::string &) {
                  return !Interrupt::requested();
              }));
    std::vector<double> seconds;
    for (const bench::Measurement &row : rows)
        seconds.push_back(bench::median(row.step_ms) / 1e3);
    return seconds;
}

bool has_all(const ModelPlan &plan, size_t device) {
    return std::ranges::all_of(plan.placements, [&](const Placement &placement) {
        return std::ranges::all_of(
            placement, [&](const PlacedRegion &region) { return region.device == device; });
    });
}

// All steps together, by their weights.
Json total_row(const Json &rows, const ModelPlan &plan) {
    const auto sum = [&](auto &&of_row) -> Json {
        double seconds = 0;
        for (size_t s = 0; s < rows.size(); ++s) {
            const Json &value = of_row(rows[s]);
            if (!value.is_number()) return nullptr;
            seconds += value.get<double>() * plan.samples[s].weight;
        }
        return seconds;
    };
    const auto field = [&](const char *name) {
        return sum([&](const Json &row) -> const Json & { return row.at(name); });
    };
    Json total = {{"step", "all"},
                  {"predicted_ms", field("predicted_ms")},
                  {"measured_ms", field("measured_ms")},
                  {"error", nullptr},
                  {"single_ms", Json::object()},
                  {"regret", nullptr}};
    const auto measured = total["measured_ms"].get<double>();
    if (total["predicted_ms"].is_number())
        total["error"] = total["predicted_ms"].get<double>() / measured - 1;
    for (const auto &[device, first] : rows.front()["single_ms"].items()) {
        Json alone =
            sum([&](const Json &row) -> const Json & { return row.at("single_ms").at(device); });
        if (alone.is_number()) {
            const double regret = measured / alone.get<double>() - 1;
            if (!total["regret"].is_number() || regret > total["regret"].get<double>())
                total["regret"] = regret;
        }
        total["single_ms"][device] = std::move(alone);
    }
    return total;
}

// [{"step", "predicted_ms", "measured_ms", "error", "single_ms": {device: ms or null}, "regret"}]
Result<Json> check_plan(const PlanCommand &options, const ModelPlan &plan) {
    const bool planned = plan.report.by_cost;
    ModelOptions same = options;
    // Else each device would have a default of its own.
    for (const StepSample &sample : plan.samples)
        if (sample.variant > 0) same.batch = static_cast<uint32_t>(sample.symbols.front());
    RZ_ASSIGN(const std::vector<double> measured, time_steps(same, plan.samples));
    Json rows = Json::array();
    for (size_t s = 0; s < measured.size(); ++s) {
        Json row = {
            {"step", plan.samples[s].name},
            {"predicted_ms", planned ? time_or_null(plan.report.seconds[s]) : Json(nullptr)},
            {"measured_ms", measured[s] * 1e3},
            {"error", nullptr},
            {"single_ms", Json::object()},
            {"regret", nullptr}};
        if (planned) row["error"] = plan.report.seconds[s] / measured[s] - 1;
        rows.push_back(std::move(row));
    }
    for (size_t d = 0; planned && d < plan.devices.size(); ++d) {
        ModelOptions single = same;
        single.device = {"auto", label(plan, d), true, {}};
        // One that the plan has not measured to the end is out of the question, and one that has all
        // of the plan takes what the plan takes.
        const bool worth = alone(plan, d, 0) != kRefused;
        const auto times = !worth             ? Result<std::vector<double>>(Error())
                           : has_all(plan, d) ? Result<std::vector<double>>(measured)
                                              : time_steps(single, plan.samples);
        if (!times.ok() && times.error().code == Code::cancelled) return times.error();
        for (size_t s = 0; s < rows.size(); ++s) {
            rows[s]["single_ms"][label(plan, d)] =
                times.ok() ? Json((*times)[s] * 1e3) : Json(nullptr);
            if (!times.ok()) continue;
            const double regret = measured[s] / (*times)[s] - 1;
            Json &most = rows[s]["regret"];
            if (!most.is_number() || regret > most.get<double>()) most = regret;
        }
    }
    if (!rows.empty()) rows.push_back(total_row(rows, plan));
    return rows;
}

std::string check_text(const Json &rows) {
    const auto number = [](const Json &value, double scale, const char *unit) {
        char text[32];
        std::snprintf(text, sizeof text, "%.3f",
                      value.is_number() ? value.get<double>() * scale : 0);
        return value.is_number() ? text + std::string(unit) : std::string("-");
    };
    std::string text = "\nchecked:\n";
    for (const Json &row : rows) {
        text += row["step"].get<std::string>() + ": predicted " +
                number(row["predicted_ms"], 1, " ms") + ", measured " +
                number(row["measured_ms"], 1, " ms") + ", error " +
                number(row["error"], 100, " %") + ", regret " + number(row["regret"], 100, " %");
        for (const auto &[device, time] : row["single_ms"].items())
            text += ", " + device + " alone " + number(time, 1, " ms");
        text += "\n";
    }
    return text;
}

Status run(const PlanCommand &options) {
    RZ_ASSIGN(const PlannedModel planned, plan_model(options));
    const ModelPlan &plan = planned.plan;
    Json checked;
    if (options.check) {
        RZ_ASSIGN(checked, check_plan(options, plan));
    }
    if (!options.json) {
        print_text(plan_text(plan) + (options.check ? check_text(checked) : ""));
        return {};
    }
    Json document = plan_json(plan);
    if (options.check) document["check"] = std::move(checked);
    print_json(document, 2);
    return {};
}

} // namespace

void add_plan(CLI::App &app, Action &action) {
    CLI::App *command = app.add_subcommand("plan", "show where each part of a model would run");
    command->footer(kFooter);
    auto options = std::make_shared<PlanCommand>();
    command->add_flag("--json", options->json, "print JSON");
    command->add_flag("--check", options->check, "load and time what was predicted");
    add_engine_options(*command, *options);
    command->callback([=, &action] { action = [=] { return run(*options); }; });
}

} // namespace realizar::cli
