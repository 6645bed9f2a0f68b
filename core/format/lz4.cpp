#include "core/format/lz4.h"

#include <cinttypes>

namespace realizar {
namespace {

constexpr uint64_t kMaxRatio = 255;
constexpr size_t kMinMatch = 4;

class Lz4Decoder {
  public:
    Lz4Decoder(std::span<const std::byte> block, std::string &out, uint64_t size)
        : block_(block), out_(out), size_(size) {}

    // Sequences of a token (two lengths of 4 bits), literals and a match; the last has no match.
    bool run() {
        while (at_ < block_.size()) {
            const unsigned token = take();
            size_t literals = token >> 4;
            if (!extend(literals) || literals > block_.size() - at_ ||
                literals > size_ - out_.size())
                return false;
            out_.append(reinterpret_cast<const char *>(block_.data()) + at_, literals);
            at_ += literals;
            if (at_ == block_.size()) return out_.size() == size_;
            if (block_.size() - at_ < 2) return false;
            const size_t low = take(), offset = low | size_t(take()) << 8;
            size_t length = token & 15;
            if (!extend(length)) return false;
            length += kMinMatch;
            if (offset == 0 || offset > out_.size() || length > size_ - out_.size()) return false;
            for (size_t from = out_.size() - offset; length > 0; --length) // may overlap itself
                out_.push_back(out_[from++]);
        }
        return false;
    }

  private:
    unsigned take() { return std::to_integer<unsigned>(block_[at_++]); }

    // A length of 15 goes on in bytes, up to and with the first that is not 255.
    bool extend(size_t &length) {
        if (length != 15) return true;
        for (unsigned byte = 255; byte == 255;) {
            if (at_ == block_.size()) return false;
            byte = take();
            length += byte;
        }
        return true;
    }

    std::span<const std::byte> block_;
    std::string &out_;
    uint64_t size_;
    size_t at_ = 0;
};

} // namespace

Result<std::string> decode_lz4(std::span<const std::byte> block, uint64_t size) {
    std::string out;
    if (size / kMaxRatio <= block.size()) {
        out.reserve(size);
        if (Lz4Decoder(block, out, size).run()) return out;
    }
    return make_error(Code::malformed, "bad_lz4",
                      "expected an LZ4 block of %" PRIu64 " bytes, found %zu bytes that are none",
                      size, block.size());
}

} // namespace realizar
