// A bounded reading position in a GGUF file, and errors that say where it stood. Internal to
// core/format.
#pragma once

#include "core/format/gguf_parse.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace realizar {

class GgufCursor {
  public:
    explicit GgufCursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

    std::span<const std::byte> bytes() const { return bytes_; }
    uint64_t at() const { return at_; }
    uint64_t left() const { return bytes_.size() - at_; }
    // Offset of a view that was taken from here.
    uint64_t offset_of(std::string_view view) const {
        return static_cast<uint64_t>(reinterpret_cast<const std::byte *>(view.data()) -
                                     bytes_.data());
    }

    // Reads a little-endian number; false, and nothing read, at the end of the file.
    template <class T>
    bool read(T &value) {
        if (left() < sizeof value) return false;
        std::memcpy(&value, bytes_.data() + at_, sizeof value);
        at_ += sizeof value;
        return true;
    }

    // The next `size` bytes; size <= left().
    std::span<const std::byte> take(uint64_t size) {
        at_ += size;
        return bytes_.subspan(at_ - size, size);
    }
    std::string_view take_text(uint64_t size) {
        const std::span<const std::byte> taken = take(size);
        return {reinterpret_cast<const char *>(taken.data()), taken.size()};
    }

    // A length and its bytes, of which the file only has to have enough.
    Status read_string(std::string_view &text, const char *truncated_tag);

    // What errors are about until clear_subject(), e.g. "key" and its name.
    void set_subject(const char *kind, std::string_view name) {
        subject_kind_ = kind;
        subject_ = name;
    }
    void clear_subject() { subject_kind_ = nullptr; }

    // "byte 123: key 'k': <message>".
    [[gnu::format(printf, 4, 5)]] Error fail(const char *tag, uint64_t offset, const char *format,
                                             ...) const;

  private:
    std::span<const std::byte> bytes_;
    uint64_t at_ = 0;
    const char *subject_kind_ = nullptr;
    std::string_view subject_;
};

// Indices of `items` by rising text, and the later of the first two equal ones if there are any.
// Sorting instead of hashing: no input makes it quadratic.
template <class Item>
const Item *sort_by_text(const std::vector<Item> &items, std::string_view Item::*text,
                         std::vector<uint32_t> &order) {
    order.resize(items.size());
    std::iota(order.begin(), order.end(), 0u);
    std::ranges::stable_sort(order, {}, [&](uint32_t i) { return items[i].*text; });
    const auto equal = [&](uint32_t a, uint32_t b) { return items[a].*text == items[b].*text; };
    const auto twin = std::ranges::adjacent_find(order, equal);
    return twin == order.end() ? nullptr : &items[*std::next(twin)];
}

// The parts of a file, in their order. Each appends to `contents`.
Status parse_gguf_entries(GgufCursor &cursor, uint64_t count, GgufContents &contents);
Status parse_gguf_tensors(GgufCursor &cursor, uint64_t count, GgufContents &contents);

} // namespace realizar
