// The protobuf wire format, read field by field without a schema or recursion.
// https://protobuf.dev/programming-guides/encoding/
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace realizar {

struct ProtobufField {
    uint32_t number = 0;
    enum class Wire : uint8_t {
        varint = 0,
        fixed64 = 1,
        bytes = 2,
        fixed32 = 5
    } wire = Wire::varint;
    uint64_t bits = 0;                // varint and fixed values
    std::span<const std::byte> bytes; // wire == bytes: a view into the message

    bool is(uint32_t wanted, Wire kind) const { return number == wanted && wire == kind; }
    std::string_view text() const {
        return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
    }
    float as_float() const {
        const auto low = static_cast<uint32_t>(bits);
        float value;
        std::memcpy(&value, &low, sizeof value);
        return value;
    }
};

class ProtobufReader {
  public:
    explicit ProtobufReader(std::span<const std::byte> message) : message_(message) {}

    // Reads the next field; false at the end of the message or at the first bad byte.
    bool next(ProtobufField &field) {
        if (bad_ || at_ == message_.size()) return false;
        bad_ = !read(field);
        return !bad_;
    }
    // Whether next() stopped at something that is not the wire format, and where.
    bool bad() const { return bad_; }
    size_t offset() const { return at_; }

  private:
    bool read(ProtobufField &field) {
        uint64_t tag = 0, size = 0;
        if (!varint(tag) || tag >> 3 == 0 || tag >> 3 > (1u << 29) - 1) return false;
        field = {static_cast<uint32_t>(tag >> 3), static_cast<ProtobufField::Wire>(tag & 7), 0, {}};
        switch (field.wire) {
        case ProtobufField::Wire::varint: return varint(field.bits);
        case ProtobufField::Wire::fixed64: return fixed(field.bits, 8);
        case ProtobufField::Wire::fixed32: return fixed(field.bits, 4);
        case ProtobufField::Wire::bytes:
            if (!varint(size) || size > message_.size() - at_) return false;
            field.bytes = message_.subspan(at_, size);
            at_ += size;
            return true;
        }
        return false; // groups (3, 4) are obsolete, 6 and 7 do not exist
    }

    bool fixed(uint64_t &value, size_t size) {
        if (message_.size() - at_ < size) return false;
        std::memcpy(&value, message_.data() + at_, size);
        at_ += size;
        return true;
    }

    bool varint(uint64_t &value) {
        value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            if (at_ == message_.size()) return false;
            const auto byte = static_cast<uint64_t>(message_[at_++]);
            if (shift == 63 && byte > 1) return false; // more than 64 bits
            value |= (byte & 127) << shift;
            if (byte < 128) return true;
        }
        return false;
    }

    std::span<const std::byte> message_;
    size_t at_ = 0;
    bool bad_ = false;
};

} // namespace realizar
