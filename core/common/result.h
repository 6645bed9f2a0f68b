// Errors as values: every fallible function of the core returns Result<T> or Status.
//
// An Error has a code (what kind of reaction it wants), a tag (a stable snake_case word that tests,
// JSON output and the server use) and a sentence that says what was expected and what was found.
// The library never prints, exits or aborts on an error of the outside world.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace realizar {

enum class Code {
    invalid_argument, // the caller or user asked for something that makes no sense
    not_found,        // a file, plugin, device, tensor or key that does not exist
    io,               // the operating system refused
    malformed,        // outside bytes break their format
    unsupported,      // well-formed, but not something this build can do
    unavailable,      // no driver or device here
    out_of_memory,
    context_full,
    cancelled,
    timeout,
    device_lost,
    internal, // a bug of ours or of a plugin
};

// The code's name, as in the enum.
const char *code_name(Code code);

struct Error {
    Code code = Code::internal;
    std::string tag;
    std::string message;

    // The same error with the message prefixed: "<context>: <message>".
    Error within(const std::string &context) && {
        message = context + ": " + message;
        return std::move(*this);
    }
};

// printf-style message. Strings of outside bytes go through printable() first.
[[gnu::format(printf, 3, 4)]] Error make_error(Code code, const char *tag, const char *format, ...);

// Text that is safe to show: control bytes and bad UTF-8 as \xNN, cut after `limit` bytes.
std::string printable(std::string_view text, size_t limit = 80);

template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }
    T &value() & { return std::get<0>(state_); }
    const T &value() const & { return std::get<0>(state_); }
    T &&value() && { return std::get<0>(std::move(state_)); }
    T &operator*() & { return value(); }
    const T &operator*() const & { return value(); }
    T &&operator*() && { return std::move(*this).value(); }
    T *operator->() { return &value(); }
    const T *operator->() const { return &value(); }
    Error &error() & { return std::get<1>(state_); }
    const Error &error() const & { return std::get<1>(state_); }
    Error &&error() && { return std::get<1>(std::move(state_)); }

  private:
    std::variant<T, Error> state_;
};

class [[nodiscard]] Status {
  public:
    Status() = default;
    Status(Error error) : error_(std::move(error)) {}

    bool ok() const { return !error_; }
    explicit operator bool() const { return ok(); }
    Error &error() & { return *error_; }
    const Error &error() const & { return *error_; }
    Error &&error() && { return *std::move(error_); }

  private:
    std::optional<Error> error_;
};

// RZ_TRY(f());               returns the error of a Status
// RZ_ASSIGN(auto x, g());    returns the error of a Result, else x = its value
#define RZ_CONCAT_(a, b) a##b
#define RZ_CONCAT(a, b) RZ_CONCAT_(a, b)
#define RZ_TRY(expression)                                                                         \
    do {                                                                                           \
        if (auto rz_status_ = (expression); !rz_status_.ok())                                      \
            return std::move(rz_status_).error();                                                  \
    } while (false)
#define RZ_ASSIGN(declaration, expression)                                                         \
    RZ_ASSIGN_(RZ_CONCAT(rz_result_, __LINE__), declaration, expression)
#define RZ_ASSIGN_(result, declaration, expression)                                                \
    auto result = (expression);                                                                    \
    if (!result.ok()) return std::move(result).error();                                            \
    declaration = std::move(result).value()

} // namespace realizar
