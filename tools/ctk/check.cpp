#include "tools/ctk/check.h"

#include <cstring>

namespace realizar::ctk {

std::string abi_code_name(rz_code code) {
    static constexpr const char *kNames[] = {
        "RZ_OK",
        "RZ_UNSUPPORTED",
        "RZ_UNAVAILABLE",
        "RZ_OUT_OF_MEMORY",
        "RZ_BUSY",
        "RZ_TIMEOUT",
        "RZ_CANCELLED",
        "RZ_DEVICE_LOST",
        "RZ_INVALID_ARGUMENT",
        "RZ_INTERNAL",
        "RZ_VERSION_MISMATCH",
    };
    if (code >= 0 && static_cast<size_t>(code) < std::size(kNames)) return kNames[code];
    return "code " + std::to_string(code);
}

std::string describe(rz_code code, const rz_error &error) {
    std::string text = abi_code_name(code);
    const size_t length = strnlen(error.message, sizeof error.message);
    if (error.node != RZ_NONE) text += " at node " + std::to_string(error.node);
    if (length > 0) text += " (" + printable(std::string_view(error.message, length), 300) + ")";
    return text;
}

Status expect_ok(rz_code code, const rz_error &error, const char *what) {
    if (code == RZ_OK) return {};
    return make_error(Code::internal, "abi_error", "%s: expected RZ_OK, found %s", what,
                      describe(code, error).c_str());
}

Status expect_refused(rz_code code, rz_code expected, const rz_error &error, const char *what) {
    CTK_CHECK(code == expected, "%s: expected %s, found %s", what, abi_code_name(expected).c_str(),
              describe(code, error).c_str());
    CTK_CHECK(error.code == code, "%s: returned %s, but rz_error.code is %s", what,
              abi_code_name(code).c_str(), abi_code_name(error.code).c_str());
    const size_t length = strnlen(error.message, sizeof error.message);
    CTK_CHECK(length > 0, "%s: refused without a message in rz_error", what);
    CTK_CHECK(length < sizeof error.message, "%s: rz_error.message is not terminated", what);
    return {};
}

Error unsupported(const std::string &message) {
    return make_error(Code::unsupported, kUnsupportedTag, "%s", message.c_str());
}

} // namespace realizar::ctk
