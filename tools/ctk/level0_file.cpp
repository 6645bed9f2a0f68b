// Level 0, the file: what can be said without running any code of the plugin.
#include "tools/ctk/levels.h"
#include "tools/ctk/library.h"
#include "tools/ctk/process_facts.h"

#include <cstring>

namespace realizar::ctk {
namespace {

Status note_matches(const std::string &plugin) {
    RZ_ASSIGN(const FileFacts facts, read_file_facts(plugin));
    CTK_CHECK(facts.has_note, "expected an ELF note in section .note.realizar, found none "
                              "(RZ_PLUGIN_NOTE of backend.h)");
    const rz_plugin_note &note = facts.note;
    const bool framed = note.name_size == 9 && note.desc_size == 20 && note.type == 1 &&
                        std::memcmp(note.name, "realizar\0\0\0", 12) == 0;
    CTK_CHECK(framed, "expected the note 'realizar' of type 1 with 20 bytes, found another");
    CTK_CHECK(note.abi_major == RZ_ABI_MAJOR && note.abi_minor == RZ_ABI_MINOR,
              "expected a plugin of ABI %u.%u, the note says %u.%u", RZ_ABI_MAJOR, RZ_ABI_MINOR,
              note.abi_major, note.abi_minor);
    const uint64_t hash = note.abi_hash_low | static_cast<uint64_t>(note.abi_hash_high) << 32;
    CTK_CHECK(hash == RZ_ABI_HASH, "expected ABI hash %016llx, the note says %016llx",
              static_cast<unsigned long long>(RZ_ABI_HASH), static_cast<unsigned long long>(hash));
    CTK_CHECK(note.sanitizer == REALIZAR_SANITIZER_KIND,
              "expected a plugin built with sanitizer %u, as this kit, the note says %u",
              REALIZAR_SANITIZER_KIND, note.sanitizer);
    return {};
}

Status one_export(const std::string &plugin) {
    RZ_ASSIGN(const FileFacts facts, read_file_facts(plugin));
    std::string others;
    bool entry = false;
    for (const std::string &name : facts.exports) {
        if (name == RZ_ENTRY_NAME)
            entry = true;
        else
            others += (others.empty() ? "" : ", ") + printable(name);
    }
    CTK_CHECK(entry, "expected the dynamic symbol " RZ_ENTRY_NAME ", found none");
    CTK_CHECK(others.empty(), "expected one exported symbol, found also %s", others.c_str());
    return {};
}

// Loading and the entry alone start no thread, open no file and print nothing.
Status loads_quietly(Context &context) {
    const ProcessFacts before = process_facts();
    const uint64_t printed = bytes_in(context.target().output);
    RZ_ASSIGN(Library * library, context.library());
    RZ_ASSIGN(const rz_plugin *table, library->table());
    CTK_CHECK(table->get_extension == nullptr || table->get_extension("x-ctk.none/1") == nullptr,
              "get_extension: expected NULL for an unknown extension");
    const ProcessFacts after = process_facts();
    CTK_CHECK(after.threads == before.threads, "loading started %zu threads",
              after.threads - before.threads);
    CTK_CHECK(after.files == before.files, "loading left %zu files open",
              after.files - before.files);
    CTK_CHECK(bytes_in(context.target().output) == printed, "loading printed %llu bytes",
              static_cast<unsigned long long>(bytes_in(context.target().output) - printed));
    return {};
}

} // namespace

void add_file_cases(const std::string &plugin, CaseList &cases) {
    const bool builtin = plugin == kBuiltinReference;
    const auto on_file = [&](const char *name, Status (*test)(const std::string &)) {
        cases.push_back({0, "file", "", name, [=](Context &) -> Status {
                             if (builtin) return unsupported("the backend is built in, not a file");
                             return test(plugin);
                         }});
    };
    on_file("note", note_matches);
    on_file("one-export", one_export);
    cases.push_back({0, "file", "", "loads-quietly", loads_quietly, true});
}

} // namespace realizar::ctk
