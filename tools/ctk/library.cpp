#include "tools/ctk/library.h"

#include "core/reference/reference.h"
#include "tools/ctk/check.h"

#include <dlfcn.h>
#include <elf.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace realizar::ctk {
namespace {

constexpr uint64_t kLargestFile = 1ull << 31;

Error bad_elf(const char *what) { return make_error(Code::malformed, "bad_elf", "%s", what); }

// Bounded access to the bytes of the file.
class ElfView {
  public:
    explicit ElfView(const std::vector<char> &bytes) : bytes_(bytes) {}

    template <class T>
    bool read(uint64_t offset, T &out) const {
        if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T)) return false;
        std::memcpy(&out, bytes_.data() + offset, sizeof(T));
        return true;
    }
    std::string text(uint64_t offset) const {
        if (offset >= bytes_.size()) return {};
        const size_t room = std::min<size_t>(bytes_.size() - offset, 4096);
        return {bytes_.data() + offset, strnlen(bytes_.data() + offset, room)};
    }

  private:
    const std::vector<char> &bytes_;
};

void read_symbols(const ElfView &file, const Elf64_Shdr &section, uint64_t names,
                  std::vector<std::string> &out) {
    const uint64_t count = section.sh_size / sizeof(Elf64_Sym);
    Elf64_Sym symbol;
    for (uint64_t i = 1; i < count && file.read(section.sh_offset + i * sizeof symbol, symbol);
         ++i) {
        const unsigned binding = ELF64_ST_BIND(symbol.st_info);
        const unsigned visibility = ELF64_ST_VISIBILITY(symbol.st_other);
        const bool visible = visibility == STV_DEFAULT || visibility == STV_PROTECTED;
        if (symbol.st_shndx != SHN_UNDEF && binding != STB_LOCAL && visible)
            out.push_back(file.text(names + symbol.st_name));
    }
}

} // namespace

Result<FileFacts> read_file_facts(const std::string &path) {
    std::error_code failure;
    if (!std::filesystem::is_regular_file(path, failure))
        return make_error(Code::io, "not_a_file", "expected a regular file at '%s'", path.c_str());
    const uint64_t size = std::filesystem::file_size(path, failure);
    if (failure || size > kLargestFile) return bad_elf("expected a plugin file below 2 GiB");
    std::ifstream stream(path, std::ios::binary);
    std::vector<char> bytes(size);
    if (!stream.read(bytes.data(), static_cast<std::streamsize>(size)))
        return make_error(Code::io, "unreadable", "cannot read '%s'", path.c_str());

    const ElfView file(bytes);
    Elf64_Ehdr header;
    if (!file.read(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
        return bad_elf("expected an ELF file");
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB)
        return bad_elf("expected a 64-bit little-endian ELF file");
    FileFacts facts;
    Elf64_Shdr names{}, section;
    const auto section_at = [&](uint64_t i, Elf64_Shdr &out) {
        return i < header.e_shnum && file.read(header.e_shoff + i * sizeof out, out);
    };
    if (!section_at(header.e_shstrndx, names)) return bad_elf("expected a section table");
    for (uint64_t i = 0; section_at(i, section); ++i) {
        if (section.sh_type == SHT_NOTE &&
            file.text(names.sh_offset + section.sh_name) == ".note.realizar")
            facts.has_note =
                section.sh_size >= sizeof facts.note && file.read(section.sh_offset, facts.note);
        Elf64_Shdr strings;
        if (section.sh_type == SHT_DYNSYM && section_at(section.sh_link, strings))
            read_symbols(file, section, strings.sh_offset, facts.exports);
    }
    return facts;
}

rz_hello make_hello() {
    rz_hello hello{};
    hello.struct_size = sizeof hello;
    hello.abi_major = RZ_ABI_MAJOR;
    hello.abi_minor = RZ_ABI_MINOR;
    hello.abi_hash = RZ_ABI_HASH;
    hello.sanitizer = REALIZAR_SANITIZER_KIND;
    return hello;
}

Result<std::unique_ptr<Library>> Library::open(const std::string &plugin) {
    auto library = std::unique_ptr<Library>(new Library);
    if (plugin == kBuiltinReference) return library;
    const std::string path = std::filesystem::absolute(plugin).string();
    void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr)
        return make_error(Code::io, "load_failed", "cannot load: %s",
                          printable(dlerror(), 400).c_str());
    library->entry_ = reinterpret_cast<rz_plugin_entry_fn>(dlsym(handle, RZ_ENTRY_NAME));
    if (library->entry_ == nullptr)
        return make_error(Code::malformed, "no_entry",
                          "expected the symbol " RZ_ENTRY_NAME ", found none");
    return library;
}

Result<const rz_plugin *> Library::table() const {
    if (builtin()) return reference_plugin();
    const rz_hello hello = make_hello();
    const rz_plugin *table = nullptr;
    AbiError error;
    const rz_code code = entry_(&hello, &table, &error);
    RZ_TRY(expect_ok(code, error, RZ_ENTRY_NAME));
    CTK_CHECK(table != nullptr, "entry: expected a table, found NULL");
    return table;
}

} // namespace realizar::ctk
