#include "core/plugin/registry.h"

#include "core/plugin/probe_cache.h"
#include "tests/plugin/plugin_folder.h"

#include <algorithm>

#include <csignal>

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

namespace realizar {
namespace {

using test::PluginFolder;
namespace fs = std::filesystem;

// A probe that notes each run: how often a file was probed is what the cache is about.
class CountedProbe {
  public:
    CountedProbe() {
        folder_.write("probe", "#!/bin/sh\necho \"$1\" >> '" + log().native() + "'\nexec '" +
                                   test::probe_program().native() + "' \"$1\"\n");
    }
    fs::path path() const { return folder_.path() / "probe"; }
    size_t runs() const {
        const std::string text = test::bytes_of(log());
        return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
    }

  private:
    fs::path log() const { return folder_.path() / "log"; }
    PluginFolder folder_;
};

std::string states(const Registry &registry) {
    std::string text;
    for (const PluginRecord &record : registry.records())
        text += record.path.filename().native() + "=" + plugin_state_name(record.state) + " ";
    return text;
}

TEST(Registry, SortsByIdWithTheBuiltInLast) {
    const PluginFolder folder;
    folder.add("other_id", "a.so"); // id "other"
    folder.add("nothing", "z.so");  // id "good"
    folder.write("text.so", "text");
    folder.write("README.txt", "no plugin at all");
    folder.write("libthing.so.1", "nor this");
    const auto registry = Registry::scan(folder.options());
    ASSERT_TRUE(registry.ok());
    EXPECT_EQ(states(**registry), "z.so=ready a.so=ready text.so=refused =ready ");
    const PluginRecord &builtin = (*registry)->records().back();
    EXPECT_EQ(builtin.id, "reference");
    EXPECT_EQ(builtin.devices.size(), 1u);
    const PluginRecord *good = (*registry)->find("good");
    ASSERT_NE(good, nullptr);
    EXPECT_EQ(good->version, "1.2.3");
    EXPECT_EQ(good->vendor, "test");
    EXPECT_EQ(good->license, "MIT");
    ASSERT_EQ(good->devices.size(), 1u);
    EXPECT_STREQ(good->devices[0].id, "0");
    EXPECT_EQ(good->devices[0].alignment, 64u);
    EXPECT_EQ((*registry)->find("nobody"), nullptr);
    EXPECT_EQ((*registry)->find(""), nullptr);
}

TEST(Registry, LoadsOnceAndExplainsWhatItCannotLoad) {
    const PluginFolder folder;
    folder.add("nothing", "good.so");
    folder.add("no_driver", "gone.so");
    const auto registry = Registry::scan(folder.options());
    ASSERT_TRUE(registry.ok());
    EXPECT_EQ((*registry)->load("nobody").error().tag, "no_plugin");
    const auto reference = (*registry)->load("reference");
    ASSERT_TRUE(reference.ok());
    EXPECT_EQ((*reference)->id(), "reference");
    // "gone.so" says "good", too, but has no device: it does not stand in the way.
    const auto taken = (*registry)->load("good");
    const PluginRecord *record = (*registry)->find("good");
    ASSERT_NE(record, nullptr);
    EXPECT_EQ(record->path.filename(), "good.so") << record->reason;
    ASSERT_TRUE(taken.ok()) << taken.error().message;
    EXPECT_EQ(*taken, *(*registry)->load("good"));
    const auto alone = [] {
        const PluginFolder gone;
        gone.add("no_driver", "gone.so");
        return (*Registry::scan(gone.options()))->load("good").error();
    }();
    EXPECT_EQ(alone.tag, "plugin_not_ready");
    EXPECT_NE(alone.message.find("install libbad.so.1"), std::string::npos) << alone.message;
}

TEST(Registry, EarlierFolderWins) {
    const PluginFolder first, second;
    first.add("nothing", "z.so");
    second.add("nothing", "a.so");
    RegistryOptions options = first.options();
    options.folders = {first.path(), second.path(), first.path() / ".", "/nowhere/at/all"};
    const auto registry = Registry::scan(options);
    ASSERT_TRUE(registry.ok());
    EXPECT_EQ((*registry)->records().size(), 3u);
    EXPECT_EQ((*registry)->find("good")->path, first.path() / "z.so");
    EXPECT_EQ(test::record_of(**registry, second.path() / "a.so")->state, PluginState::refused);
}

TEST(Registry, RelativeFolderIsAnError) {
    RegistryOptions options;
    options.folders = {"plugins"};
    const auto registry = Registry::scan(options);
    ASSERT_FALSE(registry.ok());
    EXPECT_EQ(registry.error().tag, "relative_folder");
}

TEST(Registry, NoFolderStillHasTheBuiltIn) {
    const auto registry = Registry::scan({});
    ASSERT_TRUE(registry.ok());
    EXPECT_EQ((*registry)->records().size(), 1u);
}

TEST(Registry, FolderOfOthersIsOneRecord) {
    const PluginFolder folder;
    folder.add("nothing", "good.so");
    const fs::path inner = folder.path() / "inner";
    fs::create_directory(inner);
    fs::copy_file(folder.path() / "good.so", inner / "good.so");
    ::chmod(folder.path().c_str(), 0777);
    for (const fs::path &path : {folder.path(), inner}) { // itself, and as a parent
        RegistryOptions options = folder.options();
        options.folders = {path};
        const auto registry = Registry::scan(options);
        ASSERT_TRUE(registry.ok());
        ASSERT_EQ((*registry)->records().size(), 2u);
        const PluginRecord &record = (*registry)->records().front();
        EXPECT_EQ(record.path, path);
        EXPECT_EQ(record.state, PluginState::refused);
        EXPECT_NE(record.reason.find("chmod go-w"), std::string::npos) << record.reason;
    }
    // With the sticky bit others cannot replace our file.
    ::chmod(folder.path().c_str(), 01777);
    EXPECT_EQ((*Registry::scan(folder.options()))->find("good")->state, PluginState::ready);
}

TEST(Registry, FileInPlaceOfAFolderIsOneRecord) {
    const PluginFolder folder;
    RegistryOptions options = folder.options();
    options.folders = {folder.write("file", "")};
    const auto registry = Registry::scan(options);
    ASSERT_TRUE(registry.ok());
    EXPECT_NE((*registry)->records().front().reason.find("expected a folder"), std::string::npos);
}

TEST(Registry, MissingProbeIsAReason) {
    const PluginFolder folder;
    folder.add("nothing", "good.so");
    RegistryOptions options = folder.options();
    options.probe = folder.path() / "no-such-probe";
    const auto registry = Registry::scan(options);
    ASSERT_TRUE(registry.ok());
    const PluginRecord &record = (*registry)->records().front();
    EXPECT_EQ(record.state, PluginState::broken);
    EXPECT_NE(record.reason.find("the probe did not run"), std::string::npos) << record.reason;
}

TEST(Registry, ProbeThatTalksNonsenseIsAReason) {
    const PluginFolder folder;
    folder.add("nothing", "good.so");
    for (const char *script :
         {"#!/bin/sh\nexit 0\n", "#!/bin/sh\necho '{\"stage\":\"done\"}'\n",
          "#!/bin/sh\nyes | head -c 3000000\n",
          "#!/bin/sh\nprintf '%0100000d' 0 | tr 0 '['; echo\n",
          "#!/bin/sh\necho '{\"stage\":\"done\",\"state\":\"ready\",\"id\":\"x\"}'\n",
          "#!/bin/sh\necho '{\"stage\":\"done\",\"state\":\"ready\",\"id\":\"../x\",\"devices\":"
          "[{}]}'\n"}) {
        RegistryOptions options = folder.options();
        options.probe = folder.write("probe", script);
        const auto registry = Registry::scan(options);
        ASSERT_TRUE(registry.ok());
        EXPECT_EQ((*registry)->records().front().state, PluginState::broken) << script;
    }
}

TEST(Registry, LoadRefusesAFileThatChangedSinceTheScan) {
    const PluginFolder folder;
    folder.add("nothing", "good.so");
    const auto registry = Registry::scan(folder.options());
    ASSERT_TRUE(registry.ok());
    folder.add("crash_in_constructor", "good.so");
    const auto plugin = (*registry)->load("good");
    ASSERT_FALSE(plugin.ok());
    EXPECT_EQ(plugin.error().tag, "plugin_changed") << plugin.error().message;
}

TEST(Registry, CacheSavesProbesUntilTheFileChanges) {
    const PluginFolder folder, cache;
    const CountedProbe probe;
    folder.add("nothing", "good.so");
    folder.add("crash_in_entry", "crash.so");
    folder.add("no_driver", "gone.so");
    RegistryOptions options = folder.options();
    options.probe = probe.path();
    options.probe_cache = cache.path() / "made" / "plugins.json";
    const auto scan = [&] {
        const auto registry = Registry::scan(options);
        EXPECT_TRUE(registry.ok());
        return states(**registry);
    };
    const std::string first = scan();
    EXPECT_EQ(probe.runs(), 3u);
    EXPECT_EQ(scan(), first);
    EXPECT_EQ(probe.runs(), 4u); // "unavailable" is looked at again
    ::setenv("REALIZAR_CPU_ISA", "scalar", 1);
    EXPECT_EQ(scan(), first);
    ::unsetenv("REALIZAR_CPU_ISA");
    EXPECT_EQ(probe.runs(), 7u); // a steering variable changed
    scan();
    EXPECT_EQ(probe.runs(), 10u);
    folder.add("other_id", "good.so");
    scan();
    EXPECT_EQ(probe.runs(), 12u); // the changed one and the unavailable one
}

TEST(Registry, DamagedCacheIsIgnored) {
    const PluginFolder folder, cache;
    const fs::path good = folder.add("nothing", "good.so");
    RegistryOptions options = folder.options();
    options.probe_cache = cache.path() / "plugins.json";
    ASSERT_TRUE(Registry::scan(options).ok());
    const std::string text = test::bytes_of(options.probe_cache);
    ASSERT_NE(text.find("\"good\""), std::string::npos);
    const FileIdentity identity = *identify(good);
    const auto known = [&](const std::string &bytes) {
        std::ofstream(options.probe_cache, std::ios::binary) << bytes;
        const ProbeCache reread(options.probe_cache, options.probe);
        return reread.find({good, identity}) != nullptr;
    };
    EXPECT_TRUE(known(text));
    for (size_t size = 0; size < text.size(); size += 7)
        EXPECT_FALSE(known(text.substr(0, size)));
    for (const char *other : {"", "[]", "{}", "null", "{\"format\":1}", "\xff\xfe"})
        EXPECT_FALSE(known(other));
    EXPECT_FALSE(known(std::string(100000, '[')));
    for (size_t i = 0; i < text.size(); ++i) { // nothing but reading it is asked for
        std::string changed = text;
        changed[i] = static_cast<char>(changed[i] ^ 2);
        known(changed);
    }
    FileIdentity newer = identity;
    ++newer.modified_ns;
    std::ofstream(options.probe_cache, std::ios::binary) << text;
    const ProbeCache reread(options.probe_cache, options.probe);
    EXPECT_EQ(reread.find({good, newer}), nullptr);
    ::chmod(options.probe_cache.c_str(), 0666);
    EXPECT_FALSE(ProbeCache(options.probe_cache, options.probe).find({good, identity}));
}

TEST(DefaultOptions, FindTheBuildTreeAndAbsoluteFoldersOfTheEnvironment) {
    ::setenv("REALIZAR_PLUGIN_PATH", "/one:relative:./two::/three", 1);
    ::setenv("XDG_CACHE_HOME", "relative", 1);
    const RegistryOptions options = default_registry_options();
    ::unsetenv("REALIZAR_PLUGIN_PATH");
    ::unsetenv("XDG_CACHE_HOME");
    ASSERT_EQ(options.folders.size(), 4u);
    EXPECT_EQ(options.folders[0], fs::canonical(REALIZAR_BINARY_DIR) / "plugins");
    EXPECT_EQ(options.folders[1].filename(), "plugins");
    EXPECT_EQ(options.folders[2], "/one");
    EXPECT_EQ(options.folders[3], "/three");
    EXPECT_EQ(fs::canonical(options.probe), fs::canonical(test::probe_program()));
    EXPECT_TRUE(options.probe_cache.empty() || options.probe_cache.is_absolute());
}

// A program may have been started with SIGCHLD ignored; then nobody can wait for the probe.
TEST(Probe, WorksWhereChildrenAreNotReported) {
    const PluginFolder folder;
    folder.add("nothing", "good.so");
    folder.add("crash_in_entry", "crash.so");
    const auto before = ::signal(SIGCHLD, SIG_IGN);
    const auto registry = Registry::scan(folder.options());
    ::signal(SIGCHLD, before);
    ASSERT_TRUE(registry.ok());
    EXPECT_EQ((*registry)->find("good")->state, PluginState::ready)
        << (*registry)->find("good")->reason;
    EXPECT_EQ(test::record_of(**registry, folder.path() / "crash.so")->state, PluginState::broken);
}

// Group write permission is fine where the group has nobody else (user private groups).
TEST(FileChecks, AcceptThePrivateGroupOfTheOwner) {
    const passwd *user = ::getpwuid(::geteuid());
    const group *own = user ? ::getgrgid(user->pw_gid) : nullptr;
    if (!own || std::string(own->gr_name) != user->pw_name || *own->gr_mem)
        GTEST_SKIP() << "this user has no private group";
    const PluginFolder folder;
    const fs::path path = folder.add("nothing", "good.so");
    ASSERT_EQ(::chown(path.c_str(), static_cast<uid_t>(-1), user->pw_gid), 0);
    ::chmod(path.c_str(), 0775);
    EXPECT_TRUE(check_plugin_file(folder.path(), "good.so").ok());
    ::chmod(path.c_str(), 0777);
    EXPECT_EQ(check_plugin_file(folder.path(), "good.so").error().tag, "writable_by_others");
}

// Descriptors of this process must not reach the plugin; a shell would list them.
TEST(Probe, ChildGetsNoOtherDescriptor) {
    const PluginFolder folder;
    folder.add("nothing", "good.so");
    const int leaked = ::open("/dev/null", O_RDONLY); // without O_CLOEXEC
    ASSERT_GE(leaked, 3);
    RegistryOptions options = folder.options();
    options.probe = folder.write(
        "probe", "#!/bin/sh\nfor fd in 3 4 5 6 7 8 9; do [ -e /dev/fd/$fd ] && "
                 "[ \"$(readlink /proc/$$/fd/$fd)\" = /dev/null ] && exit 1; done\nexec '" +
                     test::probe_program().native() + "' \"$1\"\n");
    const auto registry = Registry::scan(options);
    ::close(leaked);
    ASSERT_TRUE(registry.ok());
    EXPECT_EQ((*registry)->find("good")->state, PluginState::ready)
        << (*registry)->find("good")->reason;
}

} // namespace
} // namespace realizar
