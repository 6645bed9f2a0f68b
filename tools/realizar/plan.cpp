// realizar plan: where each part of a model would run, and why.
#include "tools/realizar/commands.h"
#include "tools/realizar/options.h"

#include <cstdio>
#include <memory>

namespace realizar::cli {
namespace {

constexpr const char *kFooter =
    R"(Measures what the parts of the model take on the devices, unless that is known from before, and
shows the placement with the least time for an answer of 128 tokens to a prompt of 512.

Examples:
  realizar plan -m model.gguf
  realizar plan -m model.gguf --backend cpu,vulkan --device-memory vulkan=6GiB
  realizar plan -m model.gguf --deny-device opencl -c 8192 --json)";

struct PlanCommand : ModelOptions {
    bool json = false;
};

std::string label(const ModelPlan &plan, size_t device) { return plan.devices[device]->label(); }

Json time_or_null(double seconds) {
    return seconds == kRefused ? Json(nullptr) : Json(seconds * 1e3);
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

void print_plan_json(const ModelPlan &plan) {
    const PlanReport &report = plan.report;
    Json steps = Json::array(), parts = Json::array(), devices = Json::array();
    for (size_t s = 0; s < report.seconds.size(); ++s) {
        Json single = Json::object();
        for (size_t d = 0; d < plan.devices.size(); ++d)
            single[label(plan, d)] = time_or_null(report.single[d][s]);
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
    print_json({{"by_cost", report.by_cost},
                {"exact", report.exact},
                {"measuring_s", report.measuring},
                {"devices", std::move(devices)},
                {"steps", std::move(steps)},
                {"regions", regions_json(plan)},
                {"parts", std::move(parts)}},
               2);
}

std::string time_text(double seconds) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3f ms", seconds * 1e3);
    return seconds == kRefused ? "-" : text;
}

void print_plan_text(const ModelPlan &plan) {
    const PlanReport &report = plan.report;
    std::string text;
    for (size_t s = 0; s < report.seconds.size(); ++s) {
        text += plan.samples[s].name + ": " + time_text(report.seconds[s]) + " (";
        for (size_t d = 0; d < plan.devices.size(); ++d)
            text += (d ? ", " : "") + label(plan, d) + " alone " + time_text(report.single[d][s]);
        text += ")\n";
    }
    for (const PlanPart &part : report.parts) {
        char nodes[32];
        std::snprintf(nodes, sizeof nodes, "%5zu-%-5zu ", part.atom.begin, part.atom.end - 1);
        std::string line = nodes + part.atom.name;
        line.resize(std::max<size_t>(line.size() + 1, 44), ' ');
        line += label(plan, part.device.front());
        if (part.device.back() != part.device.front())
            line += ", prompts " + label(plan, part.device.back());
        for (size_t d = 0; d < plan.devices.size(); ++d) {
            line += "  " + label(plan, d);
            for (const Cost &cost : part.cost[d])
                line += " " + time_text(part.atom.runs[d] ? cost.seconds : kRefused) +
                        (cost.runs == 0 && part.atom.runs[d] ? "?" : "");
        }
        text += line + "\n";
    }
    for (size_t v = 0; v < plan.placements.size(); ++v)
        for (const PlacedRegion &region : plan.placements[v])
            text += std::string(v == 0 ? "tokens" : "prompts") + ": nodes " +
                    std::to_string(region.begin) + "-" + std::to_string(region.end - 1) + " on " +
                    label(plan, region.device) + ": " + region.reason + "\n";
    print_text(text);
}

Status run(const PlanCommand &options) {
    RZ_ASSIGN(const PlannedModel planned, plan_model(options));
    options.json ? print_plan_json(planned.plan) : print_plan_text(planned.plan);
    return {};
}

} // namespace

void add_plan(CLI::App &app, Action &action) {
    CLI::App *command = app.add_subcommand("plan", "show where each part of a model would run");
    command->footer(kFooter);
    auto options = std::make_shared<PlanCommand>();
    command->add_flag("--json", options->json, "print JSON");
    add_engine_options(*command, *options);
    command->callback([=, &action] { action = [=] { return run(*options); }; });
}

} // namespace realizar::cli
