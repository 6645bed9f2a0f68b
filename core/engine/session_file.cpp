// Layout, little-endian: Header; in version 2 also the StreamPlace; tokens, I32 each; logits, F32 each; PartRecords; the bytes of the
// parts in their order; u32 CRC-32 of everything before.
#include "core/engine/session_file.h"

#include "core/common/crc32.h"
#include "core/format/file_writer.h"
#include "core/format/mapping.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>

namespace realizar {
namespace {

constexpr char kMagic[4] = {'R', 'Z', 'S', 'E'};
constexpr uint32_t kVersion = 1, kStreamVersion = 2; // the second of sessions that have slid
constexpr uint32_t kMaxParts = 1u << 16;

struct Header {
    char magic[4];
    uint32_t version;
    uint64_t model; // fingerprint
    uint32_t tokens;
    uint32_t logits; // the size of the vocabulary, or 0
    uint32_t parts;
    uint32_t reserved;
};
static_assert(sizeof(Header) == 32);

static_assert(sizeof(StreamPlace) == 8);

struct PartRecord {
    uint64_t key;
    uint64_t row_bytes;
    uint32_t dtype;
    uint32_t recurrent;
    uint32_t first;
    uint32_t count;
};
static_assert(sizeof(PartRecord) == 32);

class Fingerprint { // FNV-1a
  public:
    void add(std::span<const std::byte> bytes) {
        for (const std::byte byte : bytes)
            value_ = (value_ ^ std::to_integer<uint64_t>(byte)) * 0x100000001B3;
    }
    uint64_t value() const { return value_; }

  private:
    uint64_t value_ = 0xCBF29CE484222325;
};

// Which model it is: names, types, shapes and some bytes of all tensors. What is not taken in, such as
// the chat template, has no part in what the cache holds.
uint64_t fingerprint(const GgufFile &file) {
    constexpr size_t kSample = 256; // from the beginning and the middle
    Fingerprint out;
    for (const GgufTensor &tensor : file.tensors()) {
        out.add(std::as_bytes(std::span(tensor.name)));
        const auto dtype = static_cast<uint32_t>(tensor.dtype);
        out.add(std::as_bytes(std::span(&dtype, 1)));
        out.add(std::as_bytes(std::span(tensor.dims)));
        const size_t size = std::min(kSample, tensor.data.size());
        out.add(tensor.data.first(size));
        out.add(tensor.data.subspan((tensor.data.size() - size) / 2, size));
    }
    return out.value();
}

template <class T>
std::span<const std::byte> bytes_of(const T &values) {
    return std::as_bytes(std::span(values));
}

Error bad(const std::filesystem::path &path, const char *found) {
    return make_error(Code::malformed, "bad_session", "%s: expected a session file, found %s",
                      printable(path.native(), 4096).c_str(), found);
}

// The bytes of a mapped file, taken from the front.
class Reader {
  public:
    explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

    template <class T>
    bool take(std::vector<T> &values, uint64_t count) {
        if (count > bytes_.size() / sizeof(T)) return false;
        values.resize(count);
        if (count > 0) std::memcpy(values.data(), bytes_.data(), count * sizeof(T));
        bytes_ = bytes_.subspan(count * sizeof(T));
        return true;
    }
    std::span<const std::byte> rest() const { return bytes_; }

  private:
    std::span<const std::byte> bytes_;
};

struct Contents {
    StreamPlace place;
    std::vector<Token> tokens;
    std::vector<float> logits;
    std::vector<SequencePart> parts;
    std::span<const std::byte> data;
};

Result<Contents> parse(const FileMapping &mapping, const std::filesystem::path &path,
                       const Engine &engine) {
    constexpr size_t kFooter = sizeof(uint32_t);
    auto bytes = mapping.bytes();
    if (bytes.size() < sizeof(Header) + kFooter) return bad(path, "too few bytes");
    Header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) return bad(path, "another one");
    if (header.version != kVersion && header.version != kStreamVersion)
        return make_error(
            Code::unsupported, "unsupported_version",
            "%s: expected version %" PRIu32 " or %" PRIu32 " of session files, found %" PRIu32,
            printable(path.native(), 4096).c_str(), kVersion, kStreamVersion, header.version);
    uint32_t crc = 0;
    std::memcpy(&crc, bytes.data() + bytes.size() - kFooter, sizeof crc);
    bytes = bytes.first(bytes.size() - kFooter);
    if (Crc32::of(bytes) != crc) return bad(path, "one that is cut short or damaged");
    if (header.model != fingerprint(engine.file()))
        return make_error(Code::malformed, "session_mismatch",
                          "%s: expected a session of this model, found one of another",
                          printable(path.native(), 4096).c_str());
    Contents out;
    Reader reader(bytes.subspan(sizeof header));
    std::vector<PartRecord> records;
    std::vector<StreamPlace> place;
    const uint32_t vocabulary = engine.config().vocabulary;
    if ((header.logits != 0 && header.logits != vocabulary) || header.parts > kMaxParts ||
        !reader.take(place, header.version == kStreamVersion) ||
        !reader.take(out.tokens, header.tokens) || !reader.take(out.logits, header.logits) ||
        !reader.take(records, header.parts))
        return bad(path, "counts that do not fit");
    for (const Token token : out.tokens)
        if (token < 0 || static_cast<uint32_t>(token) >= vocabulary)
            return bad(path, "tokens that the model has not");
    if (!place.empty()) out.place = place.front();
    for (const PartRecord &record : records)
        out.parts.push_back({record.key, static_cast<DType>(record.dtype), record.recurrent != 0,
                             record.first, record.count, record.row_bytes});
    out.data = reader.rest();
    return out;
}

// Whether the states are those of this engine, before anything is given up for them.
Status check_parts(const Contents &contents, const Session &session,
                   const std::filesystem::path &path) {
    const auto mine = session.engine().sequence_parts(session.sequence());
    const auto same = [](const SequencePart &a, const SequencePart &b) {
        return a.key == b.key && a.dtype == b.dtype && a.recurrent == b.recurrent &&
               a.row_bytes == b.row_bytes;
    };
    if (!std::ranges::equal(mine, contents.parts, same))
        return make_error(Code::malformed, "session_mismatch",
                          "%s: expected a session with this model's cache types, found others",
                          printable(path.native(), 4096).c_str());
    if (contents.tokens.size() > session.engine().context())
        return make_error(Code::context_full, "context_full",
                          "%s: the context holds %u tokens, the session has %zu",
                          printable(path.native(), 4096).c_str(), session.engine().context(),
                          contents.tokens.size());
    if (auto status = session.engine().check_place(contents.place); !status.ok())
        return std::move(status).error().within(printable(path.native(), 4096));
    return {};
}

} // namespace

Status save_session(const Session &session, const std::filesystem::path &path) {
    const Engine &engine = session.engine();
    const auto parts = engine.sequence_parts(session.sequence());
    Header header{};
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    const StreamPlace place = engine.stream_place(session.sequence());
    header.version = place.shift > 0 ? kStreamVersion : kVersion;
    header.model = fingerprint(engine.file());
    header.tokens = static_cast<uint32_t>(session.tokens().size());
    header.logits = static_cast<uint32_t>(session.logits().size());
    header.parts = static_cast<uint32_t>(parts.size());
    std::vector<PartRecord> records;
    for (const SequencePart &part : parts)
        records.push_back({part.key, part.row_bytes, static_cast<uint32_t>(part.dtype),
                           part.recurrent, part.first, part.count});
    FileWriter file;
    Crc32 crc;
    const auto write = [&](std::span<const std::byte> bytes) {
        crc.add(bytes);
        return file.write(bytes);
    };
    RZ_TRY(file.create(path));
    RZ_TRY(write(std::as_bytes(std::span(&header, 1))));
    if (place.shift > 0) RZ_TRY(write(std::as_bytes(std::span(&place, 1))));
    RZ_TRY(write(bytes_of(session.tokens())));
    RZ_TRY(write(bytes_of(session.logits())));
    RZ_TRY(write(bytes_of(records)));
    RZ_TRY(engine.read_sequence(session.sequence(), write));
    const uint32_t sum = crc.value();
    RZ_TRY(file.write(std::as_bytes(std::span(&sum, 1))));
    return file.finish();
}

Status restore_session(Session &session, const std::filesystem::path &path) {
    RZ_ASSIGN(const FileMapping mapping, FileMapping::open(path));
    RZ_ASSIGN(Contents contents, parse(mapping, path, session.engine()));
    RZ_TRY(check_parts(contents, session, path));
    RZ_TRY(mapping.verify_unchanged());
    auto status = session.restore(std::move(contents.tokens), contents.logits, contents.place,
                                  contents.parts, contents.data);
    if (!status.ok()) return std::move(status).error().within(printable(path.native(), 4096));
    return {};
}

} // namespace realizar
