#include "core/format/apr_v1.h"

#include "core/common/crc32.h"
#include "core/format/lz4.h"
#include "core/format/msgpack.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>
#include <optional>

namespace realizar {
namespace {

using Bytes = std::span<const std::byte>;

constexpr uint64_t kHeaderBytes = 32, kFooterBytes = 4;
constexpr uint32_t kMaxMetadata = uint32_t(16) << 20, kMaxPayload = uint32_t(1) << 30;
constexpr uint8_t kEncrypted = 1, kSigned = 2, kStreaming = 4;
constexpr uint8_t kPlain = 0, kZstd = 1, kZstdBest = 2, kLz4 = 3;
constexpr uint16_t kLinear = 1, kLogistic = 2;

struct TypeName {
    uint16_t id;
    const char *name;
};
constexpr TypeName kTypeNames[] = {
    {1, "linear_regression"},
    {2, "logistic_regression"},
    {3, "decision_tree"},
    {4, "random_forest"},
    {5, "gradient_boosting"},
    {6, "k_means"},
    {7, "pca"},
    {8, "naive_bayes"},
    {9, "k_nearest_neighbours"},
    {0x0A, "svm"},
    {0x10, "ngram"},
    {0x11, "tf_idf"},
    {0x12, "count_vectors"},
    {0x20, "neural_sequential"},
    {0x21, "neural_custom"},
    {0x30, "content_recommender"},
    {0x40, "mixture_of_experts"},
    {0x50, "transformer"},
    {0xFF, "custom"},
};

template <class T>
T number_at(Bytes bytes, uint64_t offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

std::string name_of(uint16_t type) {
    const auto row = std::ranges::find(kTypeNames, type, &TypeName::id);
    if (row != std::end(kTypeNames)) return row->name;
    char text[16];
    std::snprintf(text, sizeof text, "type_0x%02x", type);
    return text;
}

Status check_header(Bytes bytes) {
    if (bytes.size() < kHeaderBytes + kFooterBytes)
        return make_error(Code::malformed, "truncated_header",
                          "expected at least 36 bytes, found a file of %zu", bytes.size());
    if (std::memcmp(bytes.data(), "APRN", 4) != 0)
        return make_error(Code::malformed, "bad_magic", "expected 'APRN'");
    if (const auto major = number_at<uint8_t>(bytes, 4); major != 1)
        return make_error(Code::malformed, "unsupported_version", "expected version 1, found %u",
                          major);
    const auto flags = number_at<uint8_t>(bytes, 21);
    if (flags & (kEncrypted | kSigned | kStreaming))
        return make_error(
            Code::unsupported, "unsupported_flag",
            "flags 0x%02X: expected a file that is not encrypted, signed or in chunks", flags);
    const Bytes body = bytes.first(bytes.size() - kFooterBytes);
    const uint32_t expected = Crc32::of(body);
    const auto found = number_at<uint32_t>(bytes, body.size());
    if (expected == found) return {};
    return make_error(Code::malformed, "bad_footer_crc",
                      "expected the checksum 0x%08" PRIX32 " at the end, found 0x%08" PRIX32,
                      expected, found);
}

Result<std::string> unpack(uint8_t compression, Bytes stored, uint32_t size) {
    if (size > kMaxPayload)
        return make_error(Code::malformed, "payload_too_large",
                          "expected at most %" PRIu32 " bytes, found %" PRIu32, kMaxPayload, size);
    switch (compression) {
    case kPlain:
        if (stored.size() != size)
            return make_error(Code::malformed, "size_mismatch",
                              "payload: expected %" PRIu32 " bytes, found %zu", size,
                              stored.size());
        return std::string(reinterpret_cast<const char *>(stored.data()), stored.size());
    case kLz4:
        if (stored.size() < 4 || number_at<uint32_t>(stored, 0) != size)
            return make_error(Code::malformed, "bad_lz4",
                              "payload: expected an LZ4 block after its size, %" PRIu32, size);
        return decode_lz4(stored.subspan(4), size);
    case kZstd:
    case kZstdBest:
        return make_error(Code::unsupported, "unsupported_compression",
                          "payload: expected it uncompressed or as LZ4, found zstd");
    default:
        return make_error(Code::malformed, "unsupported_compression",
                          "payload: expected compression 0 to 3, found %u", compression);
    }
}

// bincode: little-endian numbers one after the other, u64 lengths, a byte before what is optional.
class PayloadReader {
  public:
    explicit PayloadReader(const std::string &payload) : bytes_(payload) {}

    template <class T>
    bool take(T &value) {
        if (bytes_.size() - at_ < sizeof value) return false;
        std::memcpy(&value, bytes_.data() + at_, sizeof value);
        at_ += sizeof value;
        return true;
    }
    bool take_optional_floats(std::vector<float> &values) {
        uint8_t there = 0;
        uint64_t count = 0;
        if (!take(there) || there > 1) return false;
        if (there == 0) return true;
        if (!take(count) || count > (bytes_.size() - at_) / sizeof(float)) return false;
        values.resize(count);
        std::memcpy(values.data(), bytes_.data() + at_, count * sizeof(float));
        at_ += count * sizeof(float);
        return true;
    }
    bool at_end() const { return at_ == bytes_.size(); }

  private:
    const std::string &bytes_;
    size_t at_ = 0;
};

} // namespace

Result<AprV1> parse_apr_v1(std::span<const std::byte> bytes) {
    RZ_TRY(check_header(bytes));
    AprV1 model;
    model.model_type = number_at<uint16_t>(bytes, 6);
    model.type_name = name_of(model.model_type);
    model.flags = number_at<uint8_t>(bytes, 21);
    model.quality = number_at<uint8_t>(bytes, 22);
    const auto metadata = number_at<uint32_t>(bytes, 8), payload = number_at<uint32_t>(bytes, 12);
    if (kHeaderBytes + uint64_t(metadata) + payload + kFooterBytes != bytes.size() ||
        metadata > kMaxMetadata)
        return make_error(Code::malformed, "bad_size",
                          "expected %" PRIu32 " bytes of metadata (at most %" PRIu32
                          ") and %" PRIu32 " of payload to be all of the file, found %zu bytes",
                          metadata, kMaxMetadata, payload, bytes.size());
    auto map = parse_msgpack(bytes.subspan(kHeaderBytes, metadata));
    if (!map) return std::move(map).error().within("metadata");
    if (!map->is_object())
        return make_error(Code::malformed, "bad_metadata", "metadata: expected a map, found %s",
                          map->type_name());
    model.metadata = std::move(*map);
    RZ_ASSIGN(model.payload,
              unpack(number_at<uint8_t>(bytes, 20), bytes.subspan(kHeaderBytes + metadata, payload),
                     number_at<uint32_t>(bytes, 16)));
    return model;
}

Result<AprLinear> linear_of(const AprV1 &model) {
    if (model.model_type != kLinear && model.model_type != kLogistic)
        return make_error(Code::unsupported, "unsupported_model",
                          "expected a linear or logistic regression, found %s",
                          model.type_name.c_str());
    AprLinear out;
    PayloadReader reader(model.payload);
    bool whole = reader.take_optional_floats(out.coefficients) && reader.take(out.intercept);
    if (model.model_type == kLinear) {
        uint8_t fit_intercept = 0;
        whole = whole && reader.take(fit_intercept) && fit_intercept <= 1;
    } else {
        float learning_rate = 0, tolerance = 0;
        uint64_t iterations = 0;
        whole = whole && reader.take(learning_rate) && reader.take(iterations) &&
                reader.take(tolerance);
    }
    if (whole && reader.at_end()) return out;
    return make_error(Code::malformed, "bad_payload",
                      "expected the fields of a %s, found %zu bytes that are none",
                      model.type_name.c_str(), model.payload.size());
}

} // namespace realizar
