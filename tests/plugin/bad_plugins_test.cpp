// Everything that can be wrong with a plugin costs one record with its reason, while a good plugin
// in the same folder loads.
#include "tests/plugin/plugin_folder.h"

#include <elf.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <functional>

namespace realizar {
namespace {

using test::PluginFolder;
namespace fs = std::filesystem;

// In sanitizer builds the sanitizer's handlers turn a deadly signal into an exit status.
constexpr bool kSanitized = REALIZAR_SANITIZER_KIND != RZ_SANITIZER_NONE;

struct BadPlugin {
    const char *name; // of the variant in bad.c, and of the test
    PluginState state;
    const char *reason; // contained in the record's reason
    bool crash = false; // the reason names a signal
    bool hang = false;  // short time limits
};

constexpr PluginState kReady = PluginState::ready, kGone = PluginState::unavailable,
                      kRefused = PluginState::refused, kOther = PluginState::incompatible,
                      kBroken = PluginState::broken;

const BadPlugin kBadPlugins[] = {
    {"no_note", kRefused, "note of a realizar plugin"},
    {"future_major", kOther, "expected backend ABI 0.1, found 7.1: the plugin is too new"},
    {"old_minor", kOther, "expected backend ABI 0.1, found 0.0: the plugin is too old"},
    {"other_hash", kOther, "ABI hash"},
    {"other_sanitizer", kOther, "sanitizer"},
    {"no_entry", kRefused, "expected one exported symbol, rz_plugin_entry_v1, found 0 others"},
    {"extra_export", kRefused, "found 'rz_extra' too"},
    {"unresolved", kBroken, "rz_nobody_has_this"},
    {"crash_in_constructor", kBroken, "while loading", true},
    {"crash_in_entry", kBroken, "while loading", true},
    {"crash_in_create", kBroken, "while opening its devices", true},
    {"crash_in_enumerate", kBroken, "while opening its devices", true},
    {"crash_in_open", kBroken, "while opening its devices", true},
    {"crash_at_exit", kBroken, "while its process ended", true},
    {"abort_in_entry", kBroken, "while loading", true},
    {"throw_in_create", kBroken, "while opening its devices", true},
    {"hang_in_constructor", kBroken, "hung while loading", false, true},
    {"hang_in_entry", kBroken, "hung while loading", false, true},
    {"hang_in_enumerate", kBroken, "hung while opening its devices", false, true},
    {"hang_at_exit", kBroken, "hung while its process ended", false, true},
    {"exit_in_entry", kBroken, "ended its process with status 3 while loading"},
    {"throw_in_entry", kBroken, "a C++ exception"},
    {"prints", kBroken, "found '\\x1B[31mhello world"},
    {"prints_a_report", kBroken, "on standard output"},
    {"closes_everything", kBroken, "ended its process"},
    {"null_plugin", kBroken, "expected a table, found NULL"},
    {"null_table", kBroken, "table 'weights' is NULL"},
    {"null_function", kBroken, "table 'driver': expected 4 functions, found NULL as number 2"},
    {"null_string", kBroken, "expected a text as version"},
    {"short_plugin", kBroken, "expected an rz_plugin of at least"},
    {"short_table", kBroken, "table 'driver': expected struct_size of at least 40, found 32"},
    {"required_flag", kBroken, "expected no required flag, found 0x4"},
    {"table_hash", kOther, "ABI hash"},
    {"bad_id", kBroken, "found 'Bad Id!'"},
    {"long_id", kBroken, "expected an id of 1 to 32 characters"},
    {"reserved_id", kRefused, "the id 'reference' is taken by the built-in backend"},
    {"refuses_version", kOther, "expected a host of next year"},
    {"entry_fails", kBroken, "my table is gone"},
    {"unknown_code", kBroken, "expected an RZ_ code, found 4711"},
    {"no_driver", kGone, "install libbad.so.1"},
    {"no_device", kGone, "lists no device"},
    {"null_driver", kBroken, "driver.create returned RZ_OK, expected a handle"},
    {"null_device", kBroken, "driver.open returned RZ_OK, expected a handle"},
    {"many_devices", kBroken, "expected at most 256 devices, found 1000000000"},
    {"nameless_device", kBroken, "expected a device id"},
    {"odd_alignment", kBroken, "a power of two, found '0' and 48"},
    {"noisy_stderr", kReady, ""},
    {"leaves_a_process", kReady, ""},
    {"unterminated_text", kReady, ""},
};

class BadPlugins : public ::testing::TestWithParam<BadPlugin> {};

TEST_P(BadPlugins, CostsOneRecordBesideAGoodPlugin) {
    const BadPlugin &bad = GetParam();
    const PluginFolder folder;
    folder.add("other_id", "a_good_one.so");
    const fs::path path = folder.add(bad.name, "bad.so");
    RegistryOptions options = folder.options();
    // The good one must answer within these, too.
    if (bad.hang) options.hello_timeout = options.device_timeout = std::chrono::seconds(4);
    const auto registry = Registry::scan(options);
    ASSERT_TRUE(registry.ok());
    ASSERT_EQ((*registry)->records().size(), 3u); // the good, the bad and the built-in

    const PluginRecord *record = test::record_of(**registry, path);
    ASSERT_NE(record, nullptr);
    EXPECT_STREQ(plugin_state_name(record->state), plugin_state_name(bad.state)) << record->reason;
    EXPECT_NE(record->reason.find(bad.reason), std::string::npos) << record->reason;
    if (bad.crash && !kSanitized) {
        EXPECT_NE(record->reason.find("crashed with SIG"), std::string::npos) << record->reason;
    }
    EXPECT_LT(record->reason.size(), 1000u);
    EXPECT_EQ(record->reason.find('\n'), std::string::npos) << record->reason;
    if (bad.state != kReady && !record->id.empty()) {
        EXPECT_TRUE(record->devices.empty());
        EXPECT_FALSE((*registry)->load(record->id).ok() && record->id != "reference");
    }

    const auto good = (*registry)->load("other");
    ASSERT_TRUE(good.ok()) << good.error().message;
    EXPECT_EQ((*good)->id(), "other");
}

INSTANTIATE_TEST_SUITE_P(Code, BadPlugins, ::testing::ValuesIn(kBadPlugins),
                         [](const auto &test) { return std::string(test.param.name); });

// Files that are wrong before anybody looks at their code. `make` puts "bad.so" into the folder.
struct BadFile {
    const char *name;
    const char *reason;
    std::function<void(const PluginFolder &)> make;
    PluginState state = PluginState::refused;
    const char *file = "bad.so";
};

std::string good_bytes() { return test::bytes_of(test::built_plugin("nothing")); }

// The good plugin with a field of its ELF header changed.
template <class F>
auto with_header(F change) {
    return [change](const PluginFolder &folder) {
        std::string bytes = good_bytes();
        Elf64_Ehdr header;
        std::memcpy(&header, bytes.data(), sizeof header);
        change(header);
        std::memcpy(bytes.data(), &header, sizeof header);
        folder.write("bad.so", bytes);
    };
}

auto cut_to(size_t size) {
    return [size](const PluginFolder &folder) {
        folder.write("bad.so", good_bytes().substr(0, size));
    };
}

void make_socket(const PluginFolder &folder) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "%s/bad.so", folder.path().c_str());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address), 0);
    ::close(fd);
}

void make_group_writable(const PluginFolder &folder) {
    const fs::path path = folder.write("bad.so", good_bytes());
    // A group that is surely not the private group of the owner.
    constexpr gid_t kForeignGroup = 12345;
    if (::chown(path.c_str(), static_cast<uid_t>(-1), kForeignGroup) != 0)
        GTEST_SKIP() << "needs root to give a file to another group";
    ::chmod(path.c_str(), 0775);
}

void make_foreign(const PluginFolder &folder) {
    const fs::path path = folder.write("bad.so", good_bytes());
    if (::chown(path.c_str(), 12345, static_cast<gid_t>(-1)) != 0)
        GTEST_SKIP() << "needs root to give a file away";
}

const BadFile kBadFiles[] = {
    {"text", "expected a shared library (ELF)",
     [](const PluginFolder &f) { f.write("bad.so", "this is not a library\n"); }},
    {"empty", "found a file of 0 bytes", [](const PluginFolder &f) { f.write("bad.so", ""); }},
    {"linker_script", "expected a shared library (ELF)",
     [](const PluginFolder &f) { f.write("bad.so", "INPUT(libm.so.6)\n"); }},
    {"bits_32", "found 32-bit",
     with_header([](Elf64_Ehdr &h) { h.e_ident[EI_CLASS] = ELFCLASS32; })},
    {"big_endian", "found 64-bit big-endian",
     with_header([](Elf64_Ehdr &h) { h.e_ident[EI_DATA] = ELFDATA2MSB; })},
    {"other_machine", "expected machine",
     with_header([](Elf64_Ehdr &h) { h.e_machine = EM_S390; })},
    {"program", "expected a shared library (ELF type 3), found type 2",
     with_header([](Elf64_Ehdr &h) { h.e_type = ET_EXEC; })},
    {"program_headers_outside", "program headers inside the file",
     with_header([](Elf64_Ehdr &h) { h.e_phoff = UINT64_MAX - 8; })},
    {"sections_outside", "section headers inside the file",
     with_header([](Elf64_Ehdr &h) { h.e_shoff = uint64_t{1} << 62; })},
    {"no_sections", "found 0 others", with_header([](Elf64_Ehdr &h) { h.e_shnum = 0; })},
    {"cut_in_magic", "expected a shared library (ELF)", cut_to(3)},
    {"cut_in_header", "expected an ELF header", cut_to(40)},
    {"cut_in_body", "inside the file", cut_to(1000)},
    {"folder", "found a folder",
     [](const PluginFolder &f) { fs::create_directory(f.path() / "bad.so"); }},
    {"pipe", "found a pipe",
     [](const PluginFolder &f) { ::mkfifo((f.path() / "bad.so").c_str(), 0600); }},
    {"socket", "found a socket", make_socket},
    {"dangling_link", "No such file",
     [](const PluginFolder &f) { fs::create_symlink("nowhere.so", f.path() / "bad.so"); }},
    {"link_out", "found a link to",
     [](const PluginFolder &f) {
         fs::create_symlink(test::built_plugin("nothing"), f.path() / "bad.so");
     }},
    {"link_to_device", "found a link to",
     [](const PluginFolder &f) { fs::create_symlink("/dev/zero", f.path() / "bad.so"); }},
    {"link_to_the_good_one", "the same file as",
     [](const PluginFolder &f) { fs::create_symlink("a_good_one.so", f.path() / "bad.so"); }},
    {"hard_link_to_the_good_one", "the same file as",
     [](const PluginFolder &f) {
         fs::create_hard_link(f.path() / "a_good_one.so", f.path() / "bad.so");
     }},
    {"same_id", "the id 'other' is taken by",
     [](const PluginFolder &f) { f.add("other_id", "bad.so"); }},
    {"world_writable", "found mode 0777 (chmod go-w)",
     [](const PluginFolder &f) { f.write("bad.so", good_bytes(), 0777); }},
    {"group_writable", "found mode 0775", make_group_writable},
    {"foreign_owner", "found user 12345", make_foreign},
    {"hidden", "expected a name", [](const PluginFolder &f) { f.write(".bad.so", good_bytes()); },
     kRefused, ".bad.so"},
    {"strange_name", "expected a name",
     [](const PluginFolder &f) { f.write("b\x01 d.so", good_bytes()); }, kRefused, "b\x01 d.so"},
    {"long_name", "expected a name of at most 128",
     [](const PluginFolder &f) { f.write(std::string(200, 'x') + ".so", good_bytes()); }, kRefused,
     nullptr},
};

class BadFiles : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadFiles, CostsOneRecordBesideAGoodPlugin) {
    const BadFile &bad = GetParam();
    const PluginFolder folder;
    folder.add("other_id", "a_good_one.so");
    bad.make(folder);
    if (IsSkipped() || HasFatalFailure()) return;
    const std::string name = bad.file ? bad.file : std::string(200, 'x') + ".so";
    const auto registry = Registry::scan(folder.options());
    ASSERT_TRUE(registry.ok());
    ASSERT_EQ((*registry)->records().size(), 3u);
    const PluginRecord *record = test::record_of(**registry, folder.path() / name);
    ASSERT_NE(record, nullptr);
    EXPECT_STREQ(plugin_state_name(record->state), plugin_state_name(bad.state)) << record->reason;
    EXPECT_NE(record->reason.find(bad.reason), std::string::npos) << record->reason;
    EXPECT_TRUE((*registry)->load("other").ok());
}

INSTANTIATE_TEST_SUITE_P(Files, BadFiles, ::testing::ValuesIn(kBadFiles),
                         [](const auto &test) { return std::string(test.param.name); });

} // namespace
} // namespace realizar
