#include "core/scheduler/backends.h"

#include "core/scheduler/cost_store.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace realizar {
namespace {

constexpr const char *kAuto = "auto", *kAll = "all";
constexpr const char *kReference = "reference";
constexpr uint32_t kCpuRank = 3, kReferenceRank = 5;
// Of two plugins for one kind of device this one comes second: Vulkan's kernels are ahead of its.
constexpr const char *kSecond = "opencl";

uint32_t rank_of(const std::string &plugin, uint32_t kind) {
    if (plugin == kReference) return kReferenceRank;
    switch (kind) {
    case RZ_DEVICE_GPU: return 0;
    case RZ_DEVICE_ACCELERATOR: return 1;
    case RZ_DEVICE_INTEGRATED_GPU: return 2;
    case RZ_DEVICE_CPU: return kCpuRank;
    default: return 4; // a kind newer than this build
    }
}

std::string describe(const PluginRecord &record) {
    std::string text = record.id + " (" + plugin_state_name(record.state);
    if (!record.reason.empty()) text += ": " + record.reason;
    return text + ")";
}

template <class List, class F>
std::string join(const List &list, F &&text) {
    std::string out;
    for (const auto &item : list)
        out += (out.empty() ? "" : ", ") + text(item);
    return out.empty() ? "none" : out;
}

std::vector<std::string> split(const std::string &list) {
    std::vector<std::string> parts(1);
    for (const char c : list) {
        if (c == ',') {
            parts.emplace_back();
        } else {
            parts.back() += c;
        }
    }
    return parts;
}

bool contains(const std::vector<std::string> &list, const std::string &text) {
    return std::ranges::find(list, text) != list.end();
}

bool takes_several(const std::string &backend) {
    return backend == kAuto || backend == kAll || split(backend).size() > 1;
}

} // namespace

Result<std::unique_ptr<Backends>> Backends::open(BackendsOptions options) {
    RegistryOptions registry = std::move(options.registry);
    std::unique_ptr<Backends> backends(new Backends(std::move(options)));
    RZ_ASSIGN(backends->registry_, Registry::scan(std::move(registry)));
    return backends;
}

Backends::~Backends() { host_.use_pool(nullptr, nullptr); }

Candidates Backends::candidates(const std::string &backend,
                                const std::vector<std::string> &deny) const {
    const std::vector<std::string> named = split(backend);
    Candidates list;
    for (const PluginRecord &record : registry_->records()) {
        if (record.state != PluginState::ready || registry_->find(record.id) != &record) continue;
        if (backend != kAuto && backend != kAll && !contains(named, record.id)) continue;
        for (uint32_t i = 0; i < record.devices.size(); ++i) {
            const rz_device_info &info = record.devices[i];
            Candidate candidate{record.id, i, rank_of(record.id, info.kind), info.id, &info};
            if (!contains(deny, record.id) && !contains(deny, candidate.label()))
                list.push_back(std::move(candidate));
        }
    }
    std::ranges::stable_sort(list, {}, [](const Candidate &candidate) {
        return std::pair(candidate.rank, candidate.plugin == kSecond);
    });
    if (backend == kAuto) leave_out_doubles(list);
    return list;
}

Status Backends::check_backend(const std::string &backend) const {
    if (backend == kAuto || backend == kAll) return {};
    if (const auto parts = split(backend); parts.size() > 1) {
        for (const std::string &part : parts)
            RZ_TRY(check_backend(part));
        return {};
    }
    const PluginRecord *record = registry_->find(backend);
    if (record && record->state == PluginState::ready) return {};
    if (record)
        return make_error(Code::unavailable, "plugin_not_ready", "backend '%s' is %s: %s",
                          record->id.c_str(), plugin_state_name(record->state),
                          record->reason.c_str());
    std::vector<const PluginRecord *> named;
    for (const PluginRecord &other : registry_->records())
        if (!other.id.empty()) named.push_back(&other);
    return make_error(Code::unavailable, "no_backend", "backend '%s' was not found; found: %s",
                      printable(backend).c_str(),
                      join(named, [](const PluginRecord *r) { return describe(*r); }).c_str());
}

Result<std::shared_ptr<Driver>> Backends::driver(const std::string &plugin) {
    if (const auto found = drivers_.find(plugin); found != drivers_.end()) return found->second;
    RZ_ASSIGN(auto loaded, registry_->load(plugin));
    RZ_ASSIGN(auto driver, Driver::create(std::move(loaded), host_));
    if (const void *pool = driver->plugin().table().get_extension(RZ_EXT_COMPUTE_POOL))
        host_.use_pool(driver->handle(), static_cast<const rz_ext_compute_pool *>(pool));
    drivers_.emplace(plugin, driver);
    return driver;
}

Result<DevicePtr> Backends::open_device(const Candidate &candidate) {
    RZ_ASSIGN(auto opened, driver(candidate.plugin));
    return Device::open(std::move(opened), candidate.index);
}

Result<DeviceChoice> Backends::choose(const DeviceRequest &request) {
    std::string backend = request.backend, wanted = request.device;
    if (const size_t colon = wanted.find(':'); colon != std::string::npos) {
        const std::string prefix = wanted.substr(0, colon);
        if (backend != kAuto && backend != prefix)
            return make_error(Code::invalid_argument, "bad_option",
                              "device '%s' is not one of backend '%s'", printable(wanted).c_str(),
                              printable(backend).c_str());
        backend = prefix;
        wanted.erase(0, colon + 1);
    }
    RZ_TRY(check_backend(backend));
    const bool any_device = backend == kAuto && !wanted.empty();
    Candidates list = candidates(any_device ? kAll : backend, request.deny);
    const std::string found = join(list, [](const Candidate &c) { return c.label(); });
    if (!wanted.empty())
        std::erase_if(list, [&](const Candidate &candidate) {
            return candidate.id != wanted && std::to_string(candidate.index) != wanted;
        });
    if (list.empty())
        return make_error(Code::unavailable, "no_device", "device '%s' was not found; found: %s",
                          printable(wanted).c_str(), found.c_str());

    DeviceChoice choice;
    const bool any = takes_several(backend);
    const bool several = any && wanted.empty() && !request.require;
    if (several) keep_only(list, request.only);
    for (const Candidate &candidate : list) {
        if (several && candidate.rank == kReferenceRank && !choice.devices.empty()) continue;
        auto device = open_device(candidate);
        if (device.ok()) {
            choice.devices.push_back(std::move(device).value());
            if (!several) break;
        } else if (!any) {
            return std::move(device).error();
        } else {
            choice.notes.push_back(std::move(device).error().message);
        }
    }
    if (choice.devices.empty())
        return make_error(Code::unavailable, "no_device", "no device could be opened: %s",
                          choice.notes.front().c_str());
    choice.compare = choice.devices.size() > 1;
    if (!request.require) add_fallbacks(request, choice);
    return choice;
}

void Backends::keep_only(Candidates &list, const std::vector<std::string> &labels) {
    const auto named = [&](const Candidate &candidate) {
        return contains(labels, candidate.label());
    };
    // A choice of earlier that cannot be had any more is none.
    if (std::ranges::none_of(list, named)) return;
    std::erase_if(list, [&](const Candidate &candidate) { return !named(candidate); });
}

std::string Backends::compared(const DeviceRequest &request) const {
    if (!request.device.empty() || request.require || !takes_several(request.backend)) return "";
    std::string text;
    size_t count = 0;
    for (const Candidate &candidate : candidates(request.backend, request.deny)) {
        if (candidate.rank == kReferenceRank) continue;
        const PluginRecord &record = *registry_->find(candidate.plugin);
        text += device_identity(candidate.label(), record.version, record.build, *candidate.info,
                                host_.threads());
        ++count;
    }
    return count > 1 ? text : "";
}

void Backends::add_fallbacks(const DeviceRequest &request, DeviceChoice &choice) {
    for (const Candidate &candidate : candidates(kAuto, request.deny)) {
        if (candidate.rank != kCpuRank && candidate.rank != kReferenceRank) continue;
        auto device = open_device(candidate);
        if (!device.ok()) continue; // noted above, or of no interest
        const auto same = [&](const DevicePtr &other) {
            return other->label() == (*device)->label();
        };
        if (std::ranges::none_of(choice.devices, same)) choice.devices.push_back(*device);
    }
}

void Backends::open_pool() {
    for (const Candidate &candidate : candidates(kAuto, {}))
        if (candidate.rank == kCpuRank && driver(candidate.plugin).ok()) return;
}

} // namespace realizar
