#include "plugins/opencl/clblast/library.h"

#include <dlfcn.h>

#include <filesystem>
#include <mutex>

namespace realizar::opencl {

namespace {

constexpr unsigned kRowMajor = 101, kAsItIs = 111, kTransposed = 112;
// CLBlast's own codes; those above are OpenCL's.
constexpr cl_int kOwnCodes = -1000;

void check_product(cl_int code, const Sgemm &p) {
    if (code > kOwnCodes) check(code, "CLBlastSgemm");
    if (code != CL_SUCCESS)
        raise(RZ_INTERNAL, "CLBlast refused a product of %zu x %zu x %zu (%d)", p.rows, p.n, p.k,
              code);
}

// Whether the functions of OpenCL that `library` calls are those of `api`.
bool stands_on(void *library, const Api &api) {
    constexpr const char *kName = "clGetPlatformIDs";
    void *const ours = reinterpret_cast<void *>(api.clGetPlatformIDs);
    void *const global = dlsym(RTLD_DEFAULT, kName); // comes before what the library links to
    return (global ? global : dlsym(library, kName)) == ours;
}

// The file behind a function of it, after all links.
std::string file_of(void *function, const char *otherwise) {
    Dl_info info = {};
    if (!dladdr(function, &info) || !info.dli_fname) return otherwise;
    std::error_code failed;
    const auto path = std::filesystem::canonical(info.dli_fname, failed);
    return failed ? otherwise : path.filename().string();
}

std::mutex users_mutex;
int users = 0;

} // namespace

Clblast::Clblast(const char *file, const Api &api) {
    void *const library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!library) raise(RZ_UNAVAILABLE, "%s was not found (Debian, Ubuntu: libclblast1)", file);
    if (!stands_on(library, api))
        raise(RZ_UNAVAILABLE, "%s stands on another OpenCL loader than this process", file);
    multiply_ = reinterpret_cast<Multiply>(dlsym(library, "CLBlastSgemmWithTempBuffer"));
    room_ = reinterpret_cast<Room>(dlsym(library, "CLBlastSGemmTempBufferSize"));
    forget_ = reinterpret_cast<Forget>(dlsym(library, "CLBlastClearCache"));
    if (!multiply_ || !room_ || !forget_)
        raise(RZ_UNAVAILABLE, "%s is older than 1.5: it takes no memory of the caller", file);
    name_ = file_of(reinterpret_cast<void *>(multiply_), file);
}

uint64_t Clblast::room_bytes(const Sgemm &p, cl_command_queue queue) const {
    size_t bytes = 0;
    check_product(room_(kRowMajor, kAsItIs, kTransposed, p.rows, p.n, p.k, p.x_at, p.x_stride,
                        p.w_at, p.w_stride, p.y_at, p.y_stride, &queue, &bytes),
                  p);
    return bytes;
}

void Clblast::queue(const Sgemm &p, cl_command_queue queue, cl_event *event) const {
    check_product(multiply_(kRowMajor, kAsItIs, kTransposed, p.rows, p.n, p.k, 1.0f, p.x, p.x_at,
                            p.x_stride, p.w, p.w_at, p.w_stride, 0.0f, p.y, p.y_at, p.y_stride,
                            &queue, event, p.room),
                  p);
}

void Clblast::forget() const { forget_(); }

const FoundClblast &find_clblast(const Api &api) {
    static const FoundClblast found = [&] {
        FoundClblast result;
        try {
            result.library.emplace("libclblast.so.1", api);
        } catch (const Failure &failure) {
            result.reason = failure.message;
        }
        return result;
    }();
    return found;
}

ClblastUser::ClblastUser(const Clblast &library) : library_(library) {
    const std::lock_guard lock(users_mutex);
    ++users;
}

ClblastUser::~ClblastUser() {
    const std::lock_guard lock(users_mutex);
    if (--users == 0) library_.forget();
}

} // namespace realizar::opencl
