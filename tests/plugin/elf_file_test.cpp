// The reader of untrusted ELF files: the right answer on good ones, an error on damaged ones, and
// nothing outside the bytes (the sanitizer builds see to that).
#include "core/plugin/elf_file.h"

#include "realizar/backend.h"
#include "tests/plugin/plugin_folder.h"

#include <elf.h>

#include <cstring>
#include <random>

namespace realizar {
namespace {

using namespace std::string_literals;

Result<ElfPlugin> inspect(const std::string &bytes) {
    // A copy of exactly this size, so that reading past its end is seen.
    const std::vector<std::byte> exact(reinterpret_cast<const std::byte *>(bytes.data()),
                                       reinterpret_cast<const std::byte *>(bytes.data()) +
                                           bytes.size());
    return inspect_elf(MemorySource(exact));
}

std::string good() { return test::bytes_of(test::built_plugin("nothing")); }

template <class T>
T get(const std::string &bytes, uint64_t offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

template <class T>
void put(std::string &bytes, uint64_t offset, const T &value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
}

// Offset of the program header of the segment that holds our note.
uint64_t note_segment(const std::string &bytes) {
    const auto header = get<Elf64_Ehdr>(bytes, 0);
    for (uint64_t i = 0; i < header.e_phnum; ++i) {
        const uint64_t at = header.e_phoff + i * sizeof(Elf64_Phdr);
        const auto segment = get<Elf64_Phdr>(bytes, at);
        const std::string_view text(bytes.data() + segment.p_offset, segment.p_filesz);
        if (segment.p_type == PT_NOTE && text.find("realizar") != text.npos) return at;
    }
    return 0;
}

uint64_t note_offset(const std::string &bytes) { return bytes.find("realizar\0\0\0\0"s) - 12; }

TEST(ElfFile, ReadsNoteAndExports) {
    const Result<ElfPlugin> plugin = inspect(good());
    ASSERT_TRUE(plugin.ok()) << plugin.error().message;
    EXPECT_EQ(plugin->note.abi_major, RZ_ABI_MAJOR);
    EXPECT_EQ(plugin->note.abi_minor, RZ_ABI_MINOR);
    EXPECT_EQ(plugin->note.abi_hash, RZ_ABI_HASH);
    EXPECT_EQ(plugin->note.sanitizer, REALIZAR_SANITIZER_KIND);
    EXPECT_EQ(plugin->exports, std::vector<std::string>{RZ_ENTRY_NAME});
}

TEST(ElfFile, ListsEveryExport) {
    const Result<ElfPlugin> plugin = inspect(test::bytes_of(test::built_plugin("extra_export")));
    ASSERT_TRUE(plugin.ok()) << plugin.error().message;
    EXPECT_EQ(plugin->exports.size(), 2u);
}

// A system library has more exports than we care to list, and no note of ours.
TEST(ElfFile, RefusesOtherLibraries) {
    const Result<ElfPlugin> plugin = inspect(test::bytes_of("/proc/self/exe"));
    ASSERT_FALSE(plugin.ok());
    EXPECT_TRUE(plugin.error().tag == "no_note" || plugin.error().tag == "not_shared_library")
        << plugin.error().message;
}

TEST(ElfFile, SurvivesEveryLength) {
    const std::string bytes = good();
    size_t accepted = 0;
    for (size_t size = 0; size < bytes.size(); size += size < 2048 ? 1 : 97)
        accepted += inspect(bytes.substr(0, size)).ok();
    EXPECT_EQ(accepted, 0u); // the section headers stand at the end of the file
}

TEST(ElfFile, SurvivesEveryByteChangedInTheTables) {
    const std::string bytes = good();
    const auto header = get<Elf64_Ehdr>(bytes, 0);
    size_t refused = 0;
    const auto change = [&](size_t begin, size_t end) {
        for (size_t i = begin; i < end; ++i)
            for (const unsigned value : {0x00u, 0x7fu, 0x80u, 0xffu}) {
                std::string changed = bytes;
                changed[i] = static_cast<char>(value);
                refused += !inspect(changed).ok();
            }
    };
    change(0, header.e_phoff + header.e_phnum * sizeof(Elf64_Phdr));
    const uint64_t note = note_offset(bytes);
    change(note, note + sizeof(rz_plugin_note));
    change(header.e_shoff, bytes.size());
    EXPECT_GT(refused, 100u);
}

TEST(ElfFile, SurvivesRandomDamage) {
    const std::string bytes = good();
    std::mt19937_64 random(20240611);
    for (int round = 0; round < 3000; ++round) {
        std::string changed = bytes;
        for (int i = 0; i < 8; ++i) {
            // Half of the damage goes to the first 1 kB and to the section headers.
            const size_t where = random() % 4;
            const size_t limit = where == 0 ? 64 : where == 1 ? 1024 : changed.size();
            const size_t at = random() % limit;
            changed[where == 2 ? changed.size() - 1 - at % 2048 : at] = static_cast<char>(random());
        }
        const Result<ElfPlugin> plugin = inspect(changed);
        if (plugin.ok()) {
            EXPECT_LE(plugin->exports.size(), kMaxExports);
        }
    }
}

TEST(ElfFile, RefusesTwoNotes) {
    std::string bytes = good();
    // The GNU build-id or property segment becomes a second view of our note.
    const auto header = get<Elf64_Ehdr>(bytes, 0);
    const uint64_t ours = note_segment(bytes);
    ASSERT_NE(ours, 0u);
    for (uint64_t i = 0; i < header.e_phnum; ++i) {
        const uint64_t at = header.e_phoff + i * sizeof(Elf64_Phdr);
        if (at != ours && get<Elf64_Phdr>(bytes, at).p_type == PT_GNU_STACK)
            put(bytes, at, get<Elf64_Phdr>(bytes, ours));
    }
    const Result<ElfPlugin> plugin = inspect(bytes);
    ASSERT_FALSE(plugin.ok());
    EXPECT_EQ(plugin.error().tag, "bad_note") << plugin.error().message;
}

TEST(ElfFile, RefusesANoteOfAnotherSize) {
    for (const uint32_t size : {0u, 16u, 19u, 24u}) {
        std::string bytes = good();
        // Only our note in the segment, cut or grown with it.
        Elf64_Phdr segment = get<Elf64_Phdr>(bytes, note_segment(bytes));
        segment.p_offset = note_offset(bytes);
        segment.p_filesz = 24 + size;
        put(bytes, note_segment(bytes), segment);
        put(bytes, note_offset(bytes) + 4, size);
        const Result<ElfPlugin> plugin = inspect(bytes);
        ASSERT_FALSE(plugin.ok()) << size;
        EXPECT_EQ(plugin.error().tag, "bad_note") << plugin.error().message;
    }
}

TEST(ElfFile, RefusesANoteThatLeavesItsSegment) {
    for (const uint32_t size : {21u, 4096u, 0xfffffff0u, 0xffffffffu}) {
        std::string bytes = good();
        Elf64_Phdr segment = get<Elf64_Phdr>(bytes, note_segment(bytes));
        segment.p_offset = note_offset(bytes);
        segment.p_filesz = sizeof(rz_plugin_note);
        put(bytes, note_segment(bytes), segment);
        for (const uint64_t field : {0, 4}) { // name size, description size
            std::string changed = bytes;
            put(changed, note_offset(bytes) + field, size);
            const Result<ElfPlugin> plugin = inspect(changed);
            ASSERT_FALSE(plugin.ok()) << size;
            EXPECT_EQ(plugin.error().tag, "bad_elf") << plugin.error().message;
        }
    }
}

// Tables that claim more than 16 MiB are refused before memory is taken for them.
TEST(ElfFile, BoundsTables) {
    class Huge final : public ByteSource {
      public:
        explicit Huge(std::string head) : head_(std::move(head)) {}
        uint64_t size() const override { return uint64_t{1} << 60; }
        bool read(uint64_t offset, std::span<std::byte> out) const override {
            for (size_t i = 0; i < out.size(); ++i)
                out[i] = offset + i < head_.size() ? std::byte(head_[offset + i]) : std::byte{0};
            return true;
        }

      private:
        std::string head_;
    };
    std::string bytes = good();
    const auto header = get<Elf64_Ehdr>(bytes, 0);
    for (uint64_t i = 0; i < header.e_shnum; ++i) {
        const uint64_t at = header.e_shoff + i * sizeof(Elf64_Shdr);
        Elf64_Shdr section = get<Elf64_Shdr>(bytes, at);
        if (section.sh_type != SHT_DYNSYM) continue;
        section.sh_size = uint64_t{1} << 50;
        put(bytes, at, section);
    }
    const Result<ElfPlugin> plugin = inspect_elf(Huge(bytes));
    ASSERT_FALSE(plugin.ok());
    EXPECT_EQ(plugin.error().tag, "bad_elf") << plugin.error().message;
}

} // namespace
} // namespace realizar
