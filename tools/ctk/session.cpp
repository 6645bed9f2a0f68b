#include "tools/ctk/session.h"

#include "tools/ctk/case.h"

namespace realizar::ctk {

std::string Case::full_name() const {
    std::string text = "L";
    text.append(std::to_string(level)).append("/").append(suite).append("/");
    if (!type.empty()) text.append(type).append("/");
    return text.append(name);
}

Context::Context(const Target &target) : target_(target) {}
Context::~Context() = default;

Result<Library *> Context::library() {
    if (!library_) {
        RZ_ASSIGN(library_, Library::open(target_.plugin));
    }
    return library_.get();
}

Result<Session *> Context::session() {
    if (!session_) {
        RZ_ASSIGN(Library * opened, library());
        RZ_ASSIGN(session_, Session::open(*opened, target_.device));
    }
    return session_.get();
}

Result<std::vector<rz_device_info>> enumerate(const rz_plugin &api, rz_driver *driver) {
    uint32_t count = 0;
    AbiError error;
    RZ_TRY(expect_ok(api.driver->enumerate(driver, nullptr, sizeof(rz_device_info), &count, &error),
                     error, "driver.enumerate for the count"));
    CTK_CHECK(count < 1024, "driver.enumerate: expected a plausible count, found %u", count);
    std::vector<rz_device_info> infos(count);
    for (rz_device_info &info : infos)
        info.struct_size = sizeof info;
    const uint32_t room = count;
    RZ_TRY(expect_ok(
        api.driver->enumerate(driver, infos.data(), sizeof(rz_device_info), &count, &error), error,
        "driver.enumerate"));
    CTK_CHECK(count == room, "driver.enumerate: first %u devices, then %u", room, count);
    return infos;
}

Result<std::vector<rz_capability>> read_capabilities(const rz_plugin &api, rz_device *device) {
    uint32_t count = 0;
    AbiError error;
    RZ_TRY(
        expect_ok(api.device->capabilities(device, nullptr, sizeof(rz_capability), &count, &error),
                  error, "device.capabilities for the count"));
    CTK_CHECK(count < 4096, "device.capabilities: expected a plausible count, found %u", count);
    std::vector<rz_capability> rows(count);
    for (rz_capability &row : rows)
        row.struct_size = sizeof row;
    const uint32_t room = count;
    RZ_TRY(expect_ok(
        api.device->capabilities(device, rows.data(), sizeof(rz_capability), &count, &error), error,
        "device.capabilities"));
    CTK_CHECK(count == room, "device.capabilities: first %u rows, then %u", room, count);
    return rows;
}

Result<std::unique_ptr<Session>> Session::open(const Library &library, uint32_t device) {
    auto session = std::unique_ptr<Session>(new Session);
    session->host_ = std::make_unique<KitHost>();
    RZ_ASSIGN(session->api_, library.table());
    const rz_plugin &api = *session->api_;
    AbiError error;
    rz_driver *driver = nullptr;
    const rz_code code = api.driver->create(session->host_->table(), &driver, &error);
    if (code == RZ_UNAVAILABLE) return unsupported("no driver here: " + describe(code, error));
    RZ_TRY(expect_ok(code, error, "driver.create"));
    session->driver_ = {driver, api.driver->destroy};
    RZ_ASSIGN(const auto infos, enumerate(api, driver));
    if (infos.empty()) return unsupported("no device here");
    if (device >= infos.size())
        return make_error(Code::invalid_argument, "no_device", "--device %u: the plugin has %zu",
                          device, infos.size());
    session->info_ = infos[device];
    rz_device *handle = nullptr;
    RZ_TRY(expect_ok(api.driver->open(driver, device, &handle, &error), error, "driver.open"));
    session->device_ = {handle, api.device->close};
    RZ_ASSIGN(session->capabilities_, read_capabilities(api, handle));
    return session;
}

bool Session::claims(uint32_t op, rz_dtype dtype) const {
    for (const rz_capability &row : capabilities_)
        if (row.op == op && row.version == 1 && (row.dtypes & RZ_DTYPE_BIT(dtype)) != 0)
            return true;
    return false;
}

Result<Owned<rz_buffer>> Session::buffer(uint64_t size) {
    rz_buffer *handle = nullptr;
    AbiError error;
    RZ_TRY(expect_ok(api_->buffer->create(device_.get(), size, &handle, &error), error,
                     "buffer.create"));
    return Owned<rz_buffer>(handle, api_->buffer->destroy);
}

Result<Owned<rz_timeline>> Session::timeline(uint64_t initial) {
    rz_timeline *handle = nullptr;
    AbiError error;
    RZ_TRY(expect_ok(api_->timeline->create(device_.get(), initial, &handle, &error), error,
                     "timeline.create"));
    return Owned<rz_timeline>(handle, api_->timeline->destroy);
}

Result<Owned<rz_queue>> Session::queue() {
    rz_queue *handle = nullptr;
    AbiError error;
    RZ_TRY(expect_ok(api_->queue->create(device_.get(), &handle, &error), error, "queue.create"));
    return Owned<rz_queue>(handle, api_->queue->destroy);
}

} // namespace realizar::ctk
