// Arbitrary bytes as a plugin file (its ELF note and exports) and as a report of the probe. A good seed
// is any plugin of a build: copy build/release/plugins-extra/null.so into the corpus folder.
#include "core/plugin/elf_file.h"
#include "core/plugin/record_json.h"

#include <cstdlib>
#include <cstring>
#include <string>

#include <elf.h>

using namespace realizar;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

void inspect(std::span<const std::byte> bytes) {
    const Result<ElfPlugin> plugin = inspect_elf(MemorySource(bytes));
    if (plugin.ok())
        require(plugin->exports.size() <= kMaxExports);
    else
        require(!plugin.error().tag.empty() && !plugin.error().message.empty());
}

// The same bytes behind a header that passes the first checks, so that mutations reach the tables.
void inspect_with_header(std::string bytes) {
    if (bytes.size() < sizeof(Elf64_Ehdr)) return;
    Elf64_Ehdr header;
    std::memcpy(&header, bytes.data(), sizeof header);
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = ET_DYN;
    header.e_machine = EM_X86_64;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_phoff %= bytes.size();
    header.e_shoff %= bytes.size();
    std::memcpy(bytes.data(), &header, sizeof header);
    inspect(std::as_bytes(std::span(bytes)));
}

// What was accepted once is accepted again after being written.
void report(std::string_view text) {
    const Result<nlohmann::json> json = parse_json(text);
    if (!json.ok()) return;
    const Result<PluginRecord> record = record_from_json(*json);
    if (!record.ok()) return;
    const Result<nlohmann::json> again = parse_json(dump_json(to_json(*record)));
    require(again.ok() && record_from_json(*again).ok());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string_view text(reinterpret_cast<const char *>(data), size);
    inspect(std::as_bytes(std::span(data, size)));
    inspect_with_header(std::string(text));
    report(text);
    return 0;
}
