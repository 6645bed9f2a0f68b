// Errors inside the plugin travel as exceptions; guarded() turns them into codes at the ABI.
#pragma once

#include "plugins/common/support.h"
#include "plugins/opencl/cl/api.h"

#include <exception>
#include <string>

namespace realizar::opencl {

using plugin::align_up;
using plugin::check_struct;
using plugin::Counters;
using plugin::element;
using plugin::fail;
using plugin::fill_struct;

inline constexpr const char *kInstall =
    "install ocl-icd-libopencl1 and a driver (Debian, Ubuntu: pocl-opencl-icd for the CPU, "
    "mesa-opencl-icd, intel-opencl-icd, or the GPU vendor's)";

class Failure : public std::exception {
  public:
    Failure(rz_code reaction, cl_int result, std::string sentence)
        : code(reaction), native(result), message(std::move(sentence)) {}
    const char *what() const noexcept override { return message.c_str(); }

    rz_code code;
    cl_int native;
    std::string message;
};

[[noreturn, gnu::format(printf, 2, 3)]] void raise(rz_code code, const char *format, ...);
// Throws unless `result` is CL_SUCCESS; `what` names the call.
void check(cl_int result, const char *what);

template <class Body>
rz_code guarded(rz_error *err, Body body) {
    return plugin::guarded(err, [&] {
        try {
            return body();
        } catch (const Failure &failure) {
            const rz_code code = fail(err, failure.code, RZ_NONE, "%s", failure.what());
            if (err && err->struct_size >= sizeof(rz_error)) err->native_code = failure.native;
            return code;
        }
    });
}

inline unsigned long long wide(uint64_t n) { return n; }

} // namespace realizar::opencl
