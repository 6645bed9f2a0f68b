#include "core/format/msgpack.h"

#include "core/common/result.h"

#include <bit>
#include <cstring>
#include <optional>

namespace realizar {
namespace {

using nlohmann::json;

class Parser {
  public:
    Parser(std::span<const std::byte> bytes, const JsonLimits &limits)
        : bytes_(bytes), limits_(limits) {}

    Result<json> run() {
        RZ_ASSIGN(json value, read(0));
        if (at_ != bytes_.size()) return bad("the end");
        return value;
    }

  private:
    Error bad(const char *expected) const {
        return make_error(Code::malformed, "bad_msgpack", "byte %zu: expected %s", at_, expected);
    }

    // A big-endian number of `size` bytes.
    std::optional<uint64_t> number(size_t size) {
        if (bytes_.size() - at_ < size) return std::nullopt;
        uint64_t value = 0;
        for (size_t i = 0; i < size; ++i)
            value = value << 8 | std::to_integer<uint64_t>(bytes_[at_++]);
        return value;
    }

    Result<json> text(std::optional<uint64_t> size) {
        if (!size || *size > bytes_.size() - at_) return bad("a string within the bytes");
        const std::string out(reinterpret_cast<const char *>(bytes_.data()) + at_, *size);
        at_ += *size;
        return json(out);
    }

    Result<json> array(std::optional<uint64_t> count, uint32_t depth) {
        if (!count || *count > bytes_.size() - at_) return bad("an array within the bytes");
        json out = json::array();
        for (uint64_t i = 0; i < *count; ++i) {
            RZ_ASSIGN(json value, read(depth + 1));
            out.push_back(std::move(value));
        }
        return out;
    }

    Result<json> map(std::optional<uint64_t> count, uint32_t depth) {
        if (!count || *count > (bytes_.size() - at_) / 2) return bad("a map within the bytes");
        json out = json::object();
        for (uint64_t i = 0; i < *count; ++i) {
            RZ_ASSIGN(const json key, read(depth + 1));
            if (!key.is_string()) return bad("a string as key");
            RZ_ASSIGN(json value, read(depth + 1));
            if (!out.emplace(key.get<std::string>(), std::move(value)).second)
                return make_error(Code::malformed, "duplicate_key",
                                  "expected each key once, found '%s' again",
                                  printable(key.get<std::string>()).c_str());
        }
        return out;
    }

    Result<json> signed_number(size_t size) {
        const auto bits = number(size);
        if (!bits) return bad("a number");
        const auto shift = static_cast<unsigned>(64 - 8 * size);
        return json(static_cast<int64_t>(*bits << shift) >> shift);
    }

    Result<json> unsigned_number(size_t size) {
        const auto bits = number(size);
        if (!bits) return bad("a number");
        return json(*bits);
    }

    Result<json> real(size_t size) {
        const auto bits = number(size);
        if (!bits) return bad("a number");
        return size == 4 ? json(std::bit_cast<float>(static_cast<uint32_t>(*bits)))
                         : json(std::bit_cast<double>(*bits));
    }

    Result<json> read(uint32_t depth) {
        if (depth > limits_.depth)
            return make_error(Code::malformed, "json_too_deep",
                              "expected at most %u nested arrays and maps, found more",
                              limits_.depth);
        if (++values_ > limits_.values)
            return make_error(Code::malformed, "json_too_large",
                              "expected at most %llu values, found more",
                              static_cast<unsigned long long>(limits_.values));
        const auto lead = number(1);
        if (!lead) return bad("a value");
        const auto tag = static_cast<uint8_t>(*lead);
        if (tag < 0x80) return json(tag);
        if (tag < 0x90) return map(tag & 15, depth);
        if (tag < 0xA0) return array(tag & 15, depth);
        if (tag < 0xC0) return text(tag & 31);
        if (tag >= 0xE0) return json(static_cast<int8_t>(tag));
        switch (tag) {
        case 0xC0: return json(nullptr);
        case 0xC2: return json(false);
        case 0xC3: return json(true);
        case 0xCA: return real(4);
        case 0xCB: return real(8);
        case 0xCC: return unsigned_number(1);
        case 0xCD: return unsigned_number(2);
        case 0xCE: return unsigned_number(4);
        case 0xCF: return unsigned_number(8);
        case 0xD0: return signed_number(1);
        case 0xD1: return signed_number(2);
        case 0xD2: return signed_number(4);
        case 0xD3: return signed_number(8);
        case 0xD9: return text(number(1));
        case 0xDA: return text(number(2));
        case 0xDB: return text(number(4));
        case 0xDC: return array(number(2), depth);
        case 0xDD: return array(number(4), depth);
        case 0xDE: return map(number(2), depth);
        case 0xDF: return map(number(4), depth);
        default: return bad("a value that JSON has");
        }
    }

    std::span<const std::byte> bytes_;
    const JsonLimits &limits_;
    size_t at_ = 0;
    uint64_t values_ = 0;
};

} // namespace

Result<nlohmann::json> parse_msgpack(std::span<const std::byte> bytes, const JsonLimits &limits) {
    return Parser(bytes, limits).run();
}

} // namespace realizar
