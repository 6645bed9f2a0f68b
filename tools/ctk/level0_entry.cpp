// Level 0, the entry: hello in all its forms, and the table that comes back.
#include "tools/ctk/levels.h"
#include "tools/ctk/library.h"
#include "tools/ctk/process_facts.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <thread>

namespace realizar::ctk {
namespace {

// The library, if it has an entry.
Result<Library *> file_of(Context &context) {
    RZ_ASSIGN(Library * library, context.library());
    if (library->builtin()) return unsupported("the backend is built in: no entry");
    return library;
}

// Calls the entry twice, with and without rz_error; both must give `expected` and no table.
Status entry_refuses(Context &context, const rz_hello *hello, rz_code expected, const char *what) {
    RZ_ASSIGN(const Library *library, file_of(context));
    const rz_plugin_entry_fn entry = library->entry();
    const rz_plugin *table = nullptr;
    AbiError error;
    RZ_TRY(expect_refused(entry(hello, &table, &error), expected, error, what));
    CTK_CHECK(table == nullptr, "%s: refused, but gave a table", what);
    const rz_code silent = entry(hello, &table, nullptr);
    CTK_CHECK(silent == expected, "%s with NULL err: expected %s, found %s", what,
              abi_code_name(expected).c_str(), abi_code_name(silent).c_str());
    return {};
}

Status refuses_other_versions(Context &context) {
    rz_hello hello = make_hello();
    hello.abi_major = RZ_ABI_MAJOR + 1;
    RZ_TRY(entry_refuses(context, &hello, RZ_VERSION_MISMATCH, "hello of the next major version"));
    hello = make_hello();
    hello.abi_minor = RZ_ABI_MINOR + 1;
    hello.abi_hash = ~RZ_ABI_HASH;
    RZ_TRY(entry_refuses(context, &hello, RZ_VERSION_MISMATCH, "hello of the next minor version"));
    hello = make_hello();
    hello.abi_minor = RZ_ABI_MINOR - 1;
    hello.abi_hash = 1;
    return entry_refuses(context, &hello, RZ_VERSION_MISMATCH, "hello of the last minor version");
}

Status refuses_other_hash(Context &context) {
    rz_hello hello = make_hello();
    hello.abi_hash ^= 1ull << 63;
    RZ_TRY(entry_refuses(context, &hello, RZ_VERSION_MISMATCH, "hello with another ABI hash"));
    hello.abi_hash = RZ_ABI_HASH ^ 1;
    return entry_refuses(context, &hello, RZ_VERSION_MISMATCH, "hello with another ABI hash");
}

// Everything after struct_size bytes lies on an unreadable page.
Status respects_short_hello(Context &context) {
    RZ_ASSIGN(const Library *library, file_of(context));
    const rz_hello whole = make_hello();
    for (const size_t size : {offsetof(rz_hello, abi_major), offsetof(rz_hello, abi_hash)}) {
        const FencedMemory memory(size);
        std::memcpy(memory.data(), &whole, size);
        auto *hello = static_cast<rz_hello *>(memory.data());
        hello->struct_size = static_cast<uint32_t>(size);
        // A host without these fields is older than any version, or breaks the contract.
        const rz_plugin *table = nullptr;
        const rz_code code = library->entry()(hello, &table, nullptr);
        CTK_CHECK(code == RZ_VERSION_MISMATCH || code == RZ_INVALID_ARGUMENT,
                  "hello without its version fields: expected RZ_VERSION_MISMATCH or "
                  "RZ_INVALID_ARGUMENT, found %s",
                  abi_code_name(code).c_str());
    }
    return {};
}

Status accepts_long_hello(Context &context) {
    RZ_ASSIGN(const Library *library, file_of(context));
    const rz_plugin_entry_fn entry = library->entry();
    struct {
        rz_hello hello;
        uint8_t later_fields[64];
    } grown;
    grown.hello = make_hello();
    grown.hello.struct_size = sizeof grown;
    grown.hello.flags = 0x80000000u; // an unknown optional bit
    std::memset(grown.later_fields, 0xEE, sizeof grown.later_fields);
    const rz_plugin *table = nullptr;
    AbiError error;
    RZ_TRY(expect_ok(entry(&grown.hello, &table, &error), error, "hello of a later host"));
    CTK_CHECK(table != nullptr, "hello of a later host: no table");
    return {};
}

Status refuses_required_flag(Context &context) {
    rz_hello hello = make_hello();
    hello.flags = 1u << 15;
    return entry_refuses(context, &hello, RZ_UNSUPPORTED, "hello with an unknown required flag");
}

Status repeats_itself(Context &context) {
    RZ_ASSIGN(const Library *library, file_of(context));
    const rz_plugin_entry_fn entry = library->entry();
    const rz_hello hello = make_hello();
    constexpr int kThreads = 4, kCalls = 100;
    const rz_plugin *first = nullptr;
    CTK_CHECK(entry(&hello, &first, nullptr) == RZ_OK, "entry with NULL err: expected RZ_OK");
    bool same[kThreads] = {};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t)
        threads.emplace_back([&, t] {
            same[t] = true;
            for (int i = 0; i < kCalls; ++i) {
                const rz_plugin *table = nullptr;
                same[t] = same[t] && entry(&hello, &table, nullptr) == RZ_OK && table == first;
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    for (const bool equal : same)
        CTK_CHECK(equal, "entry: expected the same table from every call");
    return {};
}

// A table of function pointers, seen as an array behind its 8-byte head.
Status check_functions(const char *name, const void *table, uint32_t size) {
    CTK_CHECK(table != nullptr, "table '%s' is NULL", name);
    uint32_t found;
    std::memcpy(&found, table, sizeof found);
    CTK_CHECK(found >= size, "table '%s': expected struct_size of %u at least, found %u", name,
              size, found);
    for (uint32_t offset = 8; offset < size; offset += sizeof(void *)) {
        const void *function;
        std::memcpy(&function, static_cast<const char *>(table) + offset, sizeof function);
        CTK_CHECK(function != nullptr, "table '%s': function %u is NULL", name, (offset - 8) / 8);
    }
    return {};
}

Status table_is_whole(Context &context) {
    RZ_ASSIGN(Library * library, context.library());
    RZ_ASSIGN(const rz_plugin *plugin, library->table());
    CTK_CHECK(plugin->struct_size >= sizeof(rz_plugin),
              "rz_plugin: expected struct_size of %zu at least, found %u", sizeof(rz_plugin),
              plugin->struct_size);
    CTK_CHECK((plugin->flags & 0xffffu) == 0, "rz_plugin: unknown required flags %#x",
              plugin->flags);
    CTK_CHECK(plugin->abi_major == RZ_ABI_MAJOR && plugin->abi_minor == RZ_ABI_MINOR &&
                  plugin->abi_hash == RZ_ABI_HASH,
              "rz_plugin: expected ABI %u.%u with this header's hash, found %u.%u", RZ_ABI_MAJOR,
              RZ_ABI_MINOR, plugin->abi_major, plugin->abi_minor);
    RZ_TRY(check_functions("driver", plugin->driver, sizeof(rz_driver_api)));
    RZ_TRY(check_functions("device", plugin->device, sizeof(rz_device_api)));
    RZ_TRY(check_functions("buffer", plugin->buffer, sizeof(rz_buffer_api)));
    RZ_TRY(check_functions("weights", plugin->weights, sizeof(rz_weights_api)));
    RZ_TRY(check_functions("program", plugin->program, sizeof(rz_program_api)));
    RZ_TRY(check_functions("instance", plugin->instance, sizeof(rz_instance_api)));
    RZ_TRY(check_functions("queue", plugin->queue, sizeof(rz_queue_api)));
    RZ_TRY(check_functions("timeline", plugin->timeline, sizeof(rz_timeline_api)));
    CTK_CHECK(plugin->get_extension != nullptr, "rz_plugin: get_extension is NULL");
    return {};
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_id(std::string_view text) {
    return !text.empty() && text.size() <= 32 && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || is_digit(c) || c == '_';
    });
}

// major.minor.patch, then nothing, "-pre" or "+build" (semver.org)
bool is_version(std::string_view text) {
    for (int part = 0; part < 3; ++part) {
        const auto end = std::ranges::find_if_not(text, is_digit);
        if (end == text.begin()) return false;
        text.remove_prefix(static_cast<size_t>(end - text.begin()));
        if (part == 2) break;
        if (!text.starts_with('.')) return false;
        text.remove_prefix(1);
    }
    return text.empty() || ((text[0] == '-' || text[0] == '+') && text.size() > 1);
}

Status identity_is_sane(Context &context) {
    RZ_ASSIGN(Library * library, context.library());
    RZ_ASSIGN(const rz_plugin *plugin, library->table());
    const struct {
        const char *name, *text;
    } texts[] = {{"id", plugin->id},
                 {"version", plugin->version},
                 {"vendor", plugin->vendor},
                 {"build", plugin->build},
                 {"license", plugin->license}};
    for (const auto &[name, text] : texts) {
        CTK_CHECK(text != nullptr, "rz_plugin.%s is NULL", name);
        CTK_CHECK(strnlen(text, 1024) < 1024, "rz_plugin.%s: no end within 1024 bytes", name);
    }
    CTK_CHECK(is_id(plugin->id), "id: expected [a-z0-9_]{1,32}, found '%s'",
              printable(plugin->id).c_str());
    CTK_CHECK(is_version(plugin->version),
              "version: expected semantic versioning (1.2.3), found '%s'",
              printable(plugin->version).c_str());
    return {};
}

Status knows_no_strange_extension(Context &context) {
    RZ_ASSIGN(Library * library, context.library());
    RZ_ASSIGN(const rz_plugin *plugin, library->table());
    for (const char *id : {"", "x-ctk.none/1", "rz.compute_pool/99", "rz.compute_pool", "/1"})
        CTK_CHECK(plugin->get_extension(id) == nullptr,
                  "get_extension(\"%s\"): expected NULL, found a table", id);
    return {};
}

} // namespace

void add_entry_cases(CaseList &cases) {
    const auto add = [&](const char *name, Status (*test)(Context &)) {
        cases.push_back({0, "entry", "", name, test});
    };
    add("refuses-other-versions", refuses_other_versions);
    add("refuses-other-hash", refuses_other_hash);
    add("short-hello", respects_short_hello);
    add("long-hello", accepts_long_hello);
    add("required-flag", refuses_required_flag);
    add("repeatable", repeats_itself);
    add("table", table_is_whole);
    add("identity", identity_is_sane);
    add("unknown-extension", knows_no_strange_extension);
}

} // namespace realizar::ctk
