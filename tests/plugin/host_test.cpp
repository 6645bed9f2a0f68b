#include "core/plugin/host.h"

#include "core/plugin/device.h"
#include "tests/plugin/plugin_folder.h"

#include <atomic>
#include <cstring>
#include <numeric>
#include <thread>
#include <vector>

#include <sched.h>

namespace realizar {
namespace {

using test::PluginFolder;
namespace fs = std::filesystem;

TEST(Host, AllocatesAlignedAndCounts) {
    Host host(HostOptions{});
    const rz_host *table = host.table("a");
    std::vector<std::pair<void *, uint64_t>> blocks;
    uint64_t total = 0;
    for (uint64_t align = 1; align <= 1 << 21; align *= 2)
        for (const uint64_t size : {uint64_t{0}, uint64_t{1}, align - 1, align + 3}) {
            void *memory = table->alloc(table->self, size, align);
            ASSERT_NE(memory, nullptr);
            EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % align, 0u);
            if (size > 0) std::memset(memory, 0xab, size);
            blocks.emplace_back(memory, size);
            total += size;
        }
    EXPECT_EQ(host.allocated(), total);
    for (const auto &[memory, size] : blocks)
        host.table("b")->free(host.table("b")->self, memory); // one heap for all plugins
    EXPECT_EQ(host.allocated(), 0u);
    table->free(table->self, nullptr);
}

TEST(Host, RefusesImpossibleAllocations) {
    Host host(HostOptions{});
    const rz_host *table = host.table("a");
    EXPECT_EQ(table->alloc(table->self, 64, 0), nullptr);
    EXPECT_EQ(table->alloc(table->self, 64, 48), nullptr);
    EXPECT_EQ(table->alloc(table->self, UINT64_MAX, 64), nullptr);
    EXPECT_EQ(table->alloc(table->self, UINT64_MAX - 64, 64), nullptr);
    EXPECT_EQ(table->alloc(table->self, 64, uint64_t{1} << 63), nullptr);
    EXPECT_EQ(host.allocated(), 0u);
}

TEST(Host, GivesOneTablePerPlugin) {
    Host host(HostOptions{});
    const rz_host *a = host.table("a");
    EXPECT_EQ(a, host.table("a"));
    EXPECT_NE(a, host.table("b"));
    EXPECT_EQ(a->struct_size, sizeof(rz_host));
    EXPECT_EQ(a->get_extension(a->self, "x-nobody.has-this/1"), nullptr);
}

TEST(Host, LabelsAndCleansLogLines) {
    std::vector<std::string> lines;
    HostOptions options;
    options.log = [&](uint32_t level, const std::string &plugin, const std::string &message) {
        lines.push_back(std::to_string(level) + " " + plugin + " " + message);
    };
    Host host(options);
    const rz_host *table = host.table("cpu");
    table->log(table->self, RZ_LOG_WARNING, "two\nlines \x1b[31m");
    table->log(table->self, RZ_LOG_WARNING, nullptr);
    const std::string endless(1 << 20, 'x');
    table->log(table->self, RZ_LOG_DEBUG, endless.c_str());
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(lines[0], "2 cpu two\\x0Alines \\x1B[31m");
    EXPECT_LT(lines[1].size(), 5000u);
}

TEST(Host, ThreadsFollowOptionOrAffinity) {
    HostOptions options;
    options.threads = 3;
    Host three(options);
    EXPECT_EQ(three.threads(), 3u);
    EXPECT_EQ(three.table("a")->thread_budget(three.table("a")->self), 3u);
    cpu_set_t set;
    ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    EXPECT_EQ(Host(HostOptions{}).threads(), static_cast<uint32_t>(CPU_COUNT(&set)));
}

TEST(Host, CancelIsSeenByPlugins) {
    Host host(HostOptions{});
    const rz_host *table = host.table("a");
    EXPECT_EQ(table->cancelled(table->self), 0u);
    host.cancel(true);
    EXPECT_NE(table->cancelled(table->self), 0u);
    host.cancel(false);
    EXPECT_EQ(table->cancelled(table->self), 0u);
}

void count(void *context, uint64_t begin, uint64_t end) {
    auto &hits = *static_cast<std::vector<std::atomic<int>> *>(context);
    for (uint64_t i = begin; i < end; ++i)
        ++hits[i];
}

TEST(Host, RunsEveryIndexOnce) {
    Host host(HostOptions{});
    for (const uint64_t n : {0, 1, 2, 63, 64, 1000})
        for (const uint64_t grain : {0, 1, 7, 64, 5000}) {
            std::vector<std::atomic<int>> hits(n);
            host.parallel_for(n, grain, count, &hits);
            for (const auto &hit : hits)
                EXPECT_EQ(hit, 1);
        }
}

// A pool that counts how often it was asked.
int asked = 0;
void pool_for(rz_driver *, uint64_t n, uint64_t, rz_range_fn fn, void *context) {
    ++asked;
    fn(context, 0, n);
}

TEST(Host, UsesThePoolOnceThereIsOne) {
    Host host(HostOptions{});
    rz_ext_compute_pool pool{sizeof pool, 0, pool_for};
    std::vector<std::atomic<int>> hits(10);
    asked = 0;
    host.parallel_for(10, 1, count, &hits);
    EXPECT_EQ(asked, 0);
    host.use_pool(nullptr, &pool);
    host.parallel_for(10, 1, count, &hits);
    EXPECT_EQ(asked, 1);
    const rz_host *table = host.table("a");
    table->parallel_for(table->self, 10, 1, count, &hits);
    EXPECT_EQ(asked, 2);
    host.use_pool(nullptr, nullptr);
    host.parallel_for(10, 1, count, &hits);
    EXPECT_EQ(asked, 2);
    pool.struct_size = 8; // a table without the function
    host.use_pool(nullptr, &pool);
    host.parallel_for(10, 1, count, &hits);
    EXPECT_EQ(asked, 2);
    for (const auto &hit : hits)
        EXPECT_EQ(hit, 5);
}

struct Cache {
    PluginFolder folder;
    Host host;
    const rz_host *table;

    Cache() : host(options(folder)), table(host.table("plug")) {}
    static HostOptions options(const PluginFolder &folder) {
        HostOptions options;
        options.cache_folder = folder.path() / "not" / "yet" / "there";
        return options;
    }
    rz_code put(const char *key, const std::string &blob) {
        return table->cache_put(table->self, key, blob.data(), blob.size());
    }
    std::string get(const char *key, uint64_t room = 1 << 20) {
        std::string blob(room, '\0');
        uint64_t size = room;
        const rz_code code = table->cache_get(table->self, key, blob.data(), &size);
        if (code == RZ_BUSY) return "busy " + std::to_string(size);
        if (code != RZ_OK) return "code " + std::to_string(code);
        blob.resize(size);
        return blob;
    }
    fs::path only_file() {
        for (const auto &entry : fs::recursive_directory_iterator(folder.path()))
            if (entry.is_regular_file()) return entry.path();
        return {};
    }
};

TEST(HostCache, KeepsBlobsPerPluginAndKey) {
    Cache cache;
    EXPECT_EQ(cache.get("k"), "code 2"); // RZ_UNAVAILABLE
    const std::string binary("\0\1\2\xff blob", 9);
    EXPECT_EQ(cache.put("k", binary), RZ_OK);
    EXPECT_EQ(cache.get("k"), binary);
    EXPECT_EQ(cache.put("k", "new"), RZ_OK);
    EXPECT_EQ(cache.get("k"), "new");
    EXPECT_EQ(cache.put("empty", ""), RZ_OK);
    EXPECT_EQ(cache.get("empty"), "");
    EXPECT_EQ(cache.get("other"), "code 2");
    EXPECT_EQ(cache.get("k", 2), "busy 3");
    const rz_host *other = cache.host.table("other");
    uint64_t size = 0;
    EXPECT_EQ(other->cache_get(other->self, "k", nullptr, &size), RZ_UNAVAILABLE);
}

TEST(HostCache, RefusesWhatIsNoKey) {
    Cache cache;
    uint64_t size = 0;
    EXPECT_EQ(cache.table->cache_get(cache.table->self, nullptr, nullptr, &size),
              RZ_INVALID_ARGUMENT);
    EXPECT_EQ(cache.table->cache_put(cache.table->self, "k", nullptr, 4), RZ_INVALID_ARGUMENT);
    EXPECT_NE(cache.put("", "x"), RZ_OK);
    EXPECT_NE(cache.put(std::string(5000, 'k').c_str(), "x"), RZ_OK);
}

TEST(HostCache, IgnoresDamagedFiles) {
    Cache cache;
    ASSERT_EQ(cache.put("key", "some blob"), RZ_OK);
    const fs::path file = cache.only_file();
    const std::string bytes = test::bytes_of(file);
    const auto replace = [&](const std::string &changed) {
        std::ofstream(file, std::ios::binary) << changed;
    };
    for (size_t i = 0; i < bytes.size(); ++i) {
        std::string changed = bytes;
        changed[i] ^= 1;
        replace(changed);
        EXPECT_EQ(cache.get("key"), "code 2") << "byte " << i;
        replace(bytes.substr(0, i));
        EXPECT_EQ(cache.get("key"), "code 2") << "length " << i;
    }
    replace(bytes);
    EXPECT_EQ(cache.get("key"), "some blob");
    ::chmod(file.c_str(), 0666); // others could have written it
    EXPECT_EQ(cache.get("key"), "code 2");
}

TEST(HostCache, NoFolderKeepsNothing) {
    Host host(HostOptions{});
    const rz_host *table = host.table("a");
    EXPECT_EQ(table->cache_put(table->self, "k", "x", 1), RZ_UNAVAILABLE);
}

// Writers and readers at once see whole blobs only.
TEST(HostCache, IsAtomicAcrossThreads) {
    Cache cache;
    const std::string a(5000, 'a'), b(70, 'b');
    ASSERT_EQ(cache.put("k", a), RZ_OK);
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 50; ++i) {
                if (t < 2) {
                    wrong += cache.put("k", (i + t) % 2 ? a : b) != RZ_OK;
                } else {
                    const std::string blob = cache.get("k");
                    wrong += blob != a && blob != b;
                }
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(wrong, 0);
}

} // namespace
} // namespace realizar
