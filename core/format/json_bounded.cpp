#include "core/format/json_bounded.h"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace realizar {
namespace {

// Walks the events of a text and stops at the first thing that is out of bounds.
class Guard : public nlohmann::json_sax<nlohmann::json> {
  public:
    explicit Guard(const JsonLimits &limits) : limits_(limits) {}
    std::optional<Error> error;

    bool null() override { return count(); }
    bool boolean(bool) override { return count(); }
    bool number_integer(int64_t) override { return count(); }
    bool number_unsigned(uint64_t) override { return count(); }
    bool number_float(double, const std::string &) override { return count(); }
    bool string(std::string &) override { return count(); }
    bool binary(nlohmann::json::binary_t &) override { return count(); }
    bool start_array(size_t) override { return open(); }
    bool start_object(size_t) override { return open(); }
    bool end_array() override { return close(); }
    bool end_object() override { return close(); }

    bool key(std::string &name) override {
        if (keys_.back().insert(name).second) return count();
        error = make_error(Code::malformed, "duplicate_key",
                           "expected each key once, found '%s' again", printable(name).c_str());
        return false;
    }

    bool parse_error(size_t offset, const std::string &,
                     const nlohmann::json::exception &problem) override {
        error = make_error(Code::malformed, "bad_json", "byte %zu: expected JSON, found: %s",
                           offset, printable(problem.what(), 200).c_str());
        return false;
    }

  private:
    bool count() {
        if (++values_ <= limits_.values) return true;
        error = make_error(Code::malformed, "json_too_large",
                           "expected at most %llu values, found more",
                           static_cast<unsigned long long>(limits_.values));
        return false;
    }
    bool open() {
        keys_.emplace_back();
        if (keys_.size() <= limits_.depth) return count();
        error =
            make_error(Code::malformed, "json_too_deep",
                       "expected at most %u nested arrays and objects, found more", limits_.depth);
        return false;
    }
    bool close() {
        keys_.pop_back();
        return true;
    }

    const JsonLimits &limits_;
    uint64_t values_ = 0;
    std::vector<std::set<std::string>> keys_; // of the open objects; arrays have an empty set
};

} // namespace

Result<nlohmann::json> parse_json(std::string_view text, const JsonLimits &limits) {
    Guard guard(limits);
    nlohmann::json::sax_parse(text, &guard);
    if (guard.error) return *std::move(guard.error);
    return nlohmann::json::parse(text, nullptr, false);
}

} // namespace realizar
