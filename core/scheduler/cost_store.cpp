#include "core/scheduler/cost_store.h"

#include "core/plugin/small_file.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

namespace realizar {
namespace {

using Json = nlohmann::json;

constexpr int kVersion = 1;
constexpr uint64_t kMostBytes = 16u << 20;
// More devices than a machine has: what is left of older drivers and plugins makes room.
constexpr size_t kMostDevices = 32;
constexpr size_t kMostCosts = 20000; // of one device
constexpr size_t kMostDecisions = 500;

double median(std::vector<double> &values) {
    const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    if (values.size() % 2 == 1) return *middle;
    return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

std::string cost_key(uint64_t signature, const std::string &bucket) {
    char text[20];
    std::snprintf(text, sizeof text, "%016llx@", static_cast<unsigned long long>(signature));
    return text + bucket;
}

// Label and thread count, the first and the last part of an identity.
bool same_place(const std::string &a, const std::string &b) {
    const auto first = [](const std::string &text) { return text.substr(0, text.find('|')); };
    const auto last = [](const std::string &text) {
        return text.substr(text.rfind('|', text.size() < 2 ? 0 : text.size() - 2) + 1);
    };
    return first(a) == first(b) && last(a) == last(b);
}

bool is_time(const Json &value) {
    return value.is_number() && std::isfinite(value.get<double>()) && value.get<double>() >= 0;
}

bool read_times(const Json &array, size_t count) {
    return array.is_array() && array.size() == count && std::ranges::all_of(array, is_time);
}

void read_decisions(const Json &root, std::map<std::string, std::vector<std::string>> &decisions) {
    const auto list = root.find("decisions");
    if (list == root.end() || !list->is_object()) return;
    for (const auto &[name, labels] : list->items()) {
        if (decisions.size() == kMostDecisions) break;
        const bool good =
            labels.is_array() && !labels.empty() && std::ranges::all_of(labels, &Json::is_string);
        if (good) decisions.try_emplace(name, labels.get<std::vector<std::string>>());
    }
}

} // namespace

Cost robust_cost(std::span<const double> seconds) {
    std::vector<double> values(seconds.begin(), seconds.end());
    const double middle = median(values);
    std::vector<double> deviations;
    for (const double value : values)
        deviations.push_back(std::abs(value - middle));
    constexpr double kNormal = 1.4826; // deviation of a normal distribution over its MAD
    const double deviation = kNormal * median(deviations);
    std::erase_if(values, [&](double value) { return std::abs(value - middle) > 3 * deviation; });
    if (values.empty()) values.push_back(middle);
    Cost cost;
    cost.seconds = median(values);
    cost.runs = static_cast<uint32_t>(values.size());
    constexpr double kMedian = 1.2533; // standard error of a median over that of a mean
    if (cost.seconds > 0)
        cost.spread =
            kMedian * deviation / std::sqrt(static_cast<double>(cost.runs)) / cost.seconds;
    return cost;
}

std::string device_identity(const Device &device, uint32_t threads) {
    const rz_plugin &plugin = device.api();
    return device_identity(device.label(), plugin.version, plugin.build, device.info(), threads);
}

std::string device_identity(const std::string &label, const std::string &version,
                            const std::string &build, const rz_device_info &info,
                            uint32_t threads) {
    std::string uuid;
    for (const uint8_t byte : info.uuid) {
        char text[3];
        std::snprintf(text, sizeof text, "%02x", byte);
        uuid += text;
    }
    std::string identity;
    for (const std::string &part :
         {label, version, build, uuid, std::string(info.name), std::string(info.driver),
          std::string(info.isa), std::to_string(threads)})
        identity += printable(part, 200) + "|";
    return identity;
}

CostStore::CostStore(std::filesystem::path file) : file_(std::move(file)) { read(); }

void CostStore::read() {
    if (file_.empty()) return;
    const auto text = read_own_file(file_, kMostBytes);
    if (!text.ok()) return;
    const Json root = Json::parse(*text, nullptr, false);
    if (!root.is_object() || root.value("version", Json()) != kVersion) return;
    read_decisions(root, decisions_);
    const auto devices = root.find("devices");
    if (devices == root.end() || !devices->is_object()) return;
    for (const auto &[identity, entry] : devices->items()) {
        if (devices_.size() == kMostDevices || !entry.is_object()) break;
        Record &record = devices_[identity];
        const auto link = entry.find("link");
        if (!record.linked && link != entry.end() && read_times(*link, 3)) {
            record.link = {link->at(0), link->at(1), link->at(2)};
            record.linked = true;
        }
        const auto costs = entry.find("costs");
        if (costs == entry.end() || !costs->is_object()) continue;
        for (const auto &[key, cost] : costs->items())
            if (read_times(cost, 3) && cost.at(2).is_number_unsigned() &&
                record.costs.size() < kMostCosts)
                record.costs.try_emplace(key, Cost{cost.at(0), cost.at(1), cost.at(2)});
    }
}

const Cost *CostStore::find(const std::string &device, uint64_t signature,
                            const std::string &bucket) const {
    const auto record = devices_.find(device);
    if (record == devices_.end()) return nullptr;
    const auto cost = record->second.costs.find(cost_key(signature, bucket));
    return cost == record->second.costs.end() ? nullptr : &cost->second;
}

const LinkCost *CostStore::find_link(const std::string &device) const {
    const auto record = devices_.find(device);
    return record == devices_.end() || !record->second.linked ? nullptr : &record->second.link;
}

void CostStore::put(const std::string &device, uint64_t signature, const std::string &bucket,
                    Cost cost) {
    Record &record = devices_[device];
    record.costs[cost_key(signature, bucket)] = cost;
    record.fresh = news_ = true;
}

void CostStore::put_link(const std::string &device, LinkCost link) {
    Record &record = devices_[device];
    record.link = link;
    record.linked = record.fresh = news_ = true;
}

const std::vector<std::string> *CostStore::decision(const std::string &name) const {
    const auto found = decisions_.find(name);
    return found == decisions_.end() ? nullptr : &found->second;
}

void CostStore::decide(const std::string &name, std::vector<std::string> devices) {
    std::vector<std::string> &there = decisions_[name];
    news_ |= there != devices;
    there = std::move(devices);
}

Status CostStore::save() {
    if (file_.empty() || !news_) return {};
    CostStore all = *this;
    all.read();
    Json devices = Json::object();
    for (const auto &[identity, record] : all.devices_) {
        // Costs of another version of a device that was measured now are of no use any more.
        const auto outdated = [&](const auto &mine) {
            return mine.second.fresh && mine.first != identity && same_place(mine.first, identity);
        };
        if (std::ranges::any_of(devices_, outdated)) continue;
        Json costs = Json::object();
        for (const auto &[key, cost] : record.costs)
            costs[key] = {cost.seconds, cost.spread, cost.runs};
        Json entry = {{"costs", std::move(costs)}};
        if (record.linked) entry["link"] = {record.link.launch, record.link.in, record.link.out};
        devices[identity] = std::move(entry);
    }
    Json decisions = Json::object();
    for (const auto &[name, labels] : all.decisions_)
        if (decisions.size() < kMostDecisions || decisions_.contains(name))
            decisions[name] = labels;
    const Json root = {{"version", kVersion},
                       {"devices", std::move(devices)},
                       {"decisions", std::move(decisions)}};
    news_ = false;
    return replace_file(file_, root.dump(-1, ' ', true, Json::error_handler_t::replace));
}

} // namespace realizar
