// How a test says what went wrong: a Status. An error with the tag "unsupported" means that the
// plugin does not offer the feature (verdict UNSUPPORTED); every other error is a failure.
#pragma once

#include "core/common/result.h"
#include "realizar/backend.h"

#include <memory>
#include <string>

namespace realizar::ctk {

inline constexpr const char *kUnsupportedTag = "unsupported";

// Caller-owned error of one ABI call, ready to be passed.
struct AbiError : rz_error {
    AbiError() : rz_error{} {
        struct_size = sizeof(rz_error);
        node = RZ_NONE;
    }
};

// "RZ_INVALID_ARGUMENT" or "code 77".
std::string abi_code_name(rz_code code);
// Code, node and message as one piece of text, fit to print.
std::string describe(rz_code code, const rz_error &error);

// Fails unless the call returned RZ_OK.
Status expect_ok(rz_code code, const rz_error &error, const char *what);
// Fails unless the call returned `expected` and filled the error with that code and a message.
Status expect_refused(rz_code code, rz_code expected, const rz_error &error, const char *what);

Error unsupported(const std::string &message);
inline bool is_unsupported(const Error &error) { return error.tag == kUnsupportedTag; }

// Handles of the ABI, destroyed by the plugin's own function.
template <class H>
using Owned = std::unique_ptr<H, void (*)(H *)>;

#define CTK_CHECK(condition, ...)                                                                  \
    do {                                                                                           \
        if (!(condition)) return make_error(Code::internal, "check_failed", __VA_ARGS__);          \
    } while (false)

} // namespace realizar::ctk
