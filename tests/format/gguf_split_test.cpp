// Models in several files: written, joined, and what is said when a part is missing or of another
// model.
#include "core/format/rewrite.h"
#include "gguf_sketch.h"
#include "scratch.h"

#include <gtest/gtest.h>

namespace realizar {
namespace {

using namespace test;

class SplitModel : public testing::Test {
  protected:
    void SetUp() override {
        bytes_ = valid_sketch(41).bytes();
        auto parsed = GgufFile::parse(as_bytes(bytes_), "whole");
        ASSERT_TRUE(parsed.ok()) << parsed.error().message;
        whole_ = *parsed;
    }
    std::filesystem::path part(int number, int count, const std::string &prefix = "m") const {
        char name[64];
        std::snprintf(name, sizeof name, "%s-%05d-of-%05d.gguf", prefix.c_str(), number, count);
        return folder_ / name;
    }
    void split(const SplitLimits &limits, uint32_t count, const std::string &prefix = "m") {
        const auto made = split_gguf(*whole_, folder_ / prefix, limits);
        ASSERT_TRUE(made.ok()) << made.error().message;
        ASSERT_EQ(*made, count);
    }
    std::string tag_of_open(const std::filesystem::path &path) const {
        const auto opened = GgufFile::open(path);
        return opened.ok() ? "" : opened.error().tag;
    }

    ScratchFolder folder_;
    std::string bytes_;
    std::shared_ptr<const GgufFile> whole_;
};

TEST_F(SplitModel, IsTheWholeAgain) {
    split({.tensors = 1}, 3);
    ASSERT_TRUE(write_gguf(*whole_, folder_ / "whole.gguf").ok());
    const auto joined = GgufFile::open(part(1, 3));
    ASSERT_TRUE(joined.ok()) << joined.error().message;
    EXPECT_EQ((*joined)->parts(), 3u);
    EXPECT_EQ((*joined)->tensors()[2].part, 2u);
    EXPECT_EQ((*joined)->find("split.count"), nullptr);
    EXPECT_EQ((*joined)->find_tensor("output_norm.weight"), &(*joined)->tensors()[2]);
    ASSERT_TRUE(write_gguf(**joined, folder_ / "joined.gguf").ok());
    EXPECT_TRUE(read_file(folder_ / "joined.gguf") == read_file(folder_ / "whole.gguf"));
    EXPECT_TRUE((*joined)->verify_unchanged().ok());
    std::filesystem::resize_file(part(3, 3), std::filesystem::file_size(part(3, 3)) - 1);
    EXPECT_EQ((*joined)->verify_unchanged().error().tag, "file_changed");
}

TEST_F(SplitModel, Limits) {
    split({.bytes = 1}, 3);                      // a tensor never shares with another
    split({.bytes = 64 + 136, .tensors = 2}, 2); // two fit exactly
    split({.bytes = 64 + 135, .tensors = 2}, 2); // then one, then two
    split({.bytes = uint64_t(1) << 60}, 1);
    EXPECT_TRUE(GgufFile::open(part(1, 1)).ok());
    EXPECT_EQ(split_gguf(*whole_, folder_ / "m", {}).error().tag, "bad_option");
}

TEST_F(SplitModel, WrongParts) {
    split({.tensors = 1}, 3);
    split({.tensors = 1}, 3, "other");
    EXPECT_EQ(tag_of_open(part(2, 3)), "not_first_part");
    std::filesystem::copy_file(part(1, 3), folder_ / "renamed.gguf");
    EXPECT_EQ(tag_of_open(folder_ / "renamed.gguf"), "split_mismatch");
    const std::string second = read_file(part(2, 3)), third = read_file(part(3, 3));

    std::filesystem::remove(part(2, 3));
    const auto missing = GgufFile::open(part(1, 3));
    ASSERT_FALSE(missing.ok());
    EXPECT_EQ(missing.error().tag, "open_failed");
    EXPECT_NE(missing.error().message.find("m-00002-of-00003.gguf"), std::string::npos);

    folder_.write("m-00002-of-00003.gguf", third); // the parts in the wrong order
    EXPECT_EQ(tag_of_open(part(1, 3)), "split_mismatch");
    folder_.write("m-00002-of-00003.gguf", bytes_); // not a part at all
    EXPECT_EQ(tag_of_open(part(1, 3)), "split_mismatch");
    folder_.write("m-00002-of-00003.gguf", second.substr(0, second.size() - 40));
    EXPECT_NE(tag_of_open(part(1, 3)), "");

    // A part of another model of as many parts: a tensor twice, or another number of tensors.
    Sketch sketch = valid_sketch(42);
    const auto other = [&](std::vector<SketchTensor> tensors, std::string data) {
        Sketch s = sketch;
        s.entries.insert(s.entries.end(), {{"split.no", value(2, uint16_t(1))},
                                           {"split.count", value(2, uint16_t(3))},
                                           {"split.tensors.count", value(5, int32_t(3))}});
        s.tensors = std::move(tensors);
        s.data = std::move(data);
        folder_.write("m-00002-of-00003.gguf", s.bytes());
        return tag_of_open(part(1, 3));
    };
    EXPECT_EQ(other({{"token_embd.weight", {8}, 0, 0}}, std::string(32, 'x')), "duplicate_tensor");
    EXPECT_EQ(other({{"a", {8}, 0, 0}, {"b", {8}, 0, 32}}, std::string(64, 'x')), "split_mismatch");
    EXPECT_EQ(other({{"a", {8}, 0, 0}}, std::string(32, 'x')), ""); // nothing tells it is foreign
    EXPECT_EQ(GgufFile::parse(as_bytes(second), "bytes").ok(), true);
}

TEST_F(SplitModel, HostileCounts) {
    const auto with = [&](uint32_t number, uint32_t count) {
        Sketch s = valid_sketch(43);
        s.entries.push_back({"split.no", u32_value(number)});
        s.entries.push_back({"split.count", u32_value(count)});
        return tag_of_open(folder_.write("x-00001-of-00002.gguf", s.bytes()));
    };
    EXPECT_EQ(with(0, 0xFFFFFFFF), "too_many_parts");
    EXPECT_EQ(with(7, 3), "split_mismatch");
    EXPECT_EQ(with(0, 3), "split_mismatch"); // the name says 2
    EXPECT_EQ(with(0, 1), "");
    EXPECT_EQ(with(0, 2), "open_failed");
}

} // namespace
} // namespace realizar
