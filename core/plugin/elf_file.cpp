#include "core/plugin/elf_file.h"

#include "realizar/backend.h"

#include <cerrno>
#include <cstring>
#include <optional>

#include <elf.h>
#include <unistd.h>

namespace realizar {

namespace {

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t kMachine = EM_AARCH64;
#else
#error "unknown machine: add its e_machine value"
#endif

constexpr uint64_t kMaxSegments = 256;
constexpr uint64_t kMaxSections = 16384;
constexpr uint64_t kMaxNotes = 64ull << 10; // bytes of one note segment
constexpr char kOwner[] = "realizar";
constexpr uint32_t kNoteType = 1;
constexpr uint32_t kNoteDescription = 20; // five words

template <class... Args>
Error bad_elf(const char *format, Args... args) {
    return make_error(Code::malformed, "bad_elf", format, args...);
}

// `count` elements of T from `offset`.
template <class T>
Result<std::vector<T>> read_table(const ByteSource &file, uint64_t offset, uint64_t count,
                                  const char *what) {
    const uint64_t size = file.size();
    if (count > kMaxTable / sizeof(T) || offset > size || count * sizeof(T) > size - offset)
        return bad_elf(
            "expected the %s inside the file (%llu bytes) and not above %llu bytes, "
            "found %llu entries at offset %llu",
            what, static_cast<unsigned long long>(size), static_cast<unsigned long long>(kMaxTable),
            static_cast<unsigned long long>(count), static_cast<unsigned long long>(offset));
    std::vector<T> table(static_cast<size_t>(count));
    if (!file.read(offset, std::as_writable_bytes(std::span(table))))
        return bad_elf("the %s cannot be read", what);
    return table;
}

Result<Elf64_Ehdr> read_header(const ByteSource &file) {
    unsigned char ident[EI_NIDENT];
    if (!file.read(0, std::as_writable_bytes(std::span(ident))) ||
        std::memcmp(ident, ELFMAG, SELFMAG) != 0)
        return make_error(
            Code::malformed, "not_elf",
            "expected a shared library (ELF), found a file of %llu bytes that is none",
            static_cast<unsigned long long>(file.size()));
    if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB)
        return make_error(Code::unsupported, "wrong_machine",
                          "expected a 64-bit little-endian library, found %s-bit %s-endian",
                          ident[EI_CLASS] == ELFCLASS64 ? "64" : "32",
                          ident[EI_DATA] == ELFDATA2LSB ? "little" : "big");
    Elf64_Ehdr header;
    if (!file.read(0, std::as_writable_bytes(std::span(&header, 1))))
        return bad_elf("expected an ELF header of %zu bytes, found a file of %llu", sizeof header,
                       static_cast<unsigned long long>(file.size()));
    if (header.e_machine != kMachine)
        return make_error(Code::unsupported, "wrong_machine",
                          "expected machine %u as of this program, found %u",
                          static_cast<unsigned>(kMachine), static_cast<unsigned>(header.e_machine));
    if (header.e_type != ET_DYN)
        return make_error(Code::malformed, "not_shared_library",
                          "expected a shared library (ELF type 3), found type %u",
                          static_cast<unsigned>(header.e_type));
    if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > kMaxSegments)
        return bad_elf("expected at most %llu program headers of %zu bytes, found %u of %u",
                       static_cast<unsigned long long>(kMaxSegments), sizeof(Elf64_Phdr),
                       static_cast<unsigned>(header.e_phnum),
                       static_cast<unsigned>(header.e_phentsize));
    return header;
}

// Offset of the next field after `size` bytes at `at`; nullopt when that leaves the segment.
std::optional<uint64_t> field_end(uint64_t at, uint64_t size, uint64_t align, uint64_t limit) {
    if (size > limit - at) return std::nullopt;
    const uint64_t end = (at + size + align - 1) / align * align;
    return end < limit ? end : limit;
}

Status parse_note(std::span<const std::byte> description, std::optional<PluginNote> &found) {
    if (description.size() != kNoteDescription)
        return make_error(Code::malformed, "bad_note",
                          "expected a plugin note of %u bytes, found %zu", kNoteDescription,
                          description.size());
    if (found)
        return make_error(Code::malformed, "bad_note", "expected one plugin note, found another");
    uint32_t words[5];
    std::memcpy(words, description.data(), sizeof words);
    found =
        PluginNote{words[0], words[1], words[2] | static_cast<uint64_t>(words[3]) << 32, words[4]};
    return {};
}

// One PT_NOTE segment: a row of {name size, description size, type, name, description}, the last two
// padded to the segment's alignment (4, or 8 for GNU properties).
Status scan_notes(std::span<const std::byte> segment, uint64_t align,
                  std::optional<PluginNote> &found) {
    const uint64_t limit = segment.size();
    uint64_t at = 0;
    while (limit - at >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr note;
        std::memcpy(&note, segment.data() + at, sizeof note);
        const uint64_t name_at = at + sizeof note;
        const std::optional<uint64_t> data_at = field_end(name_at, note.n_namesz, align, limit);
        if (!data_at) return bad_elf("a note's name of %u bytes leaves its segment", note.n_namesz);
        const std::optional<uint64_t> next = field_end(*data_at, note.n_descsz, align, limit);
        if (!next) return bad_elf("a note of %u bytes leaves its segment", note.n_descsz);
        if (note.n_type == kNoteType && note.n_namesz == sizeof kOwner &&
            std::memcmp(segment.data() + name_at, kOwner, sizeof kOwner) == 0)
            RZ_TRY(parse_note(segment.subspan(*data_at, note.n_descsz), found));
        at = *next;
    }
    return {};
}

Result<PluginNote> read_note(const ByteSource &file, const Elf64_Ehdr &header) {
    RZ_ASSIGN(const auto segments,
              read_table<Elf64_Phdr>(file, header.e_phoff, header.e_phnum, "program headers"));
    std::optional<PluginNote> found;
    for (const Elf64_Phdr &segment : segments) {
        if (segment.p_type != PT_NOTE) continue;
        if (segment.p_filesz > kMaxNotes)
            return bad_elf("expected notes of at most %llu bytes, found %llu",
                           static_cast<unsigned long long>(kMaxNotes),
                           static_cast<unsigned long long>(segment.p_filesz));
        RZ_ASSIGN(const auto bytes,
                  read_table<std::byte>(file, segment.p_offset, segment.p_filesz, "notes"));
        RZ_TRY(scan_notes(bytes, segment.p_align == 8 ? 8 : 4, found));
    }
    if (!found)
        return make_error(Code::malformed, "no_note",
                          "expected the note of a realizar plugin (RZ_PLUGIN_NOTE), found none");
    return *found;
}

// Defined, and reachable from outside the library? Absolute symbols are version names.
bool exported(const Elf64_Sym &symbol) {
    const unsigned char binding = ELF64_ST_BIND(symbol.st_info);
    const unsigned char visibility = ELF64_ST_VISIBILITY(symbol.st_other);
    return symbol.st_shndx != SHN_UNDEF && symbol.st_shndx != SHN_ABS && binding != STB_LOCAL &&
           (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

Result<std::vector<std::string>> read_exports(const ByteSource &file, const Elf64_Ehdr &header) {
    if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shnum > kMaxSections)
        return bad_elf("expected at most %llu sections of %zu bytes, found %u of %u",
                       static_cast<unsigned long long>(kMaxSections), sizeof(Elf64_Shdr),
                       static_cast<unsigned>(header.e_shnum),
                       static_cast<unsigned>(header.e_shentsize));
    RZ_ASSIGN(const auto sections,
              read_table<Elf64_Shdr>(file, header.e_shoff, header.e_shnum, "section headers"));
    std::vector<std::string> names;
    for (const Elf64_Shdr &section : sections) {
        if (section.sh_type != SHT_DYNSYM) continue;
        if (section.sh_entsize != sizeof(Elf64_Sym) || section.sh_link >= sections.size())
            return bad_elf("expected symbols of %zu bytes with a string table below section %zu, "
                           "found %llu and %u",
                           sizeof(Elf64_Sym), sections.size(),
                           static_cast<unsigned long long>(section.sh_entsize), section.sh_link);
        RZ_ASSIGN(const auto symbols,
                  read_table<Elf64_Sym>(file, section.sh_offset,
                                        section.sh_size / sizeof(Elf64_Sym), "symbols"));
        const Elf64_Shdr &strings = sections[section.sh_link];
        RZ_ASSIGN(const auto text,
                  read_table<char>(file, strings.sh_offset, strings.sh_size, "symbol names"));
        for (const Elf64_Sym &symbol : symbols) {
            if (!exported(symbol)) continue;
            if (symbol.st_name >= text.size())
                return bad_elf("expected a symbol name below offset %zu, found %u", text.size(),
                               symbol.st_name);
            const char *name = text.data() + symbol.st_name;
            names.emplace_back(name, strnlen(name, text.size() - symbol.st_name));
            if (names.size() == kMaxExports) return names;
        }
    }
    return names;
}

} // namespace

bool MemorySource::read(uint64_t offset, std::span<std::byte> out) const {
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset) return false;
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
    return true;
}

bool FileSource::read(uint64_t offset, std::span<std::byte> out) const {
    if (offset > size_ || out.size() > size_ - offset) return false;
    while (!out.empty()) {
        const ssize_t count = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        out = out.subspan(static_cast<size_t>(count));
        offset += static_cast<uint64_t>(count);
    }
    return true;
}

Result<ElfPlugin> inspect_elf(const ByteSource &file) {
    RZ_ASSIGN(const Elf64_Ehdr header, read_header(file));
    ElfPlugin plugin;
    RZ_ASSIGN(plugin.note, read_note(file, header));
    RZ_ASSIGN(plugin.exports, read_exports(file, header));
    return plugin;
}

} // namespace realizar
