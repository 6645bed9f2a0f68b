// Malformed GGUF files: each case changes one thing of a valid file and names the error that must
// come. The numbers are those of the catalogue in docs/formats/gguf.md. Cases 37 and 41 to 45 are
// about models (tests/models), 38 to 40 and 44 about tokenizers and templates (tests/tokenizer).
#include "core/format/gguf.h"
#include "gguf_sketch.h"
#include "scratch.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <functional>
#include <sys/stat.h>
#include <unistd.h>

namespace realizar {
namespace {

using namespace test;

struct Mutation {
    int number;
    const char *name;
    const char *tag;
    const char *subject; // must be in the message; "" for none
    std::function<std::string()> bytes;
};

// A case made by changing the valid sketch.
std::function<std::string()> change(std::function<void(Sketch &)> edit) {
    return [edit] {
        Sketch sketch = valid_sketch(1);
        edit(sketch);
        return sketch.bytes();
    };
}

std::function<std::string()> entry(std::string key, std::string content) {
    return change([=](Sketch &s) { s.entries.push_back({key, content}); });
}
// Replaces the last entry of the sketch, the alignment.
std::function<std::string()> alignment(std::string content) {
    return change([=](Sketch &s) { s.entries.back().value = content; });
}
std::function<std::string()> tensor(std::function<void(SketchTensor &)> edit) {
    return change([=](Sketch &s) { edit(s.tensors[1]); });
}
std::function<std::string()> dims(std::vector<uint64_t> values, uint32_t type = 0) {
    return tensor([=](SketchTensor &t) {
        t.dims = values;
        t.type = type;
    });
}
std::function<std::string()> last_offset(int64_t shift) {
    return change([=](Sketch &s) { s.tensors.back().offset += static_cast<uint64_t>(shift); });
}
std::function<std::string()> header_only(uint64_t n_tensors, uint64_t n_entries) {
    return change([=](Sketch &s) {
        s.n_tensors = n_tensors;
        s.n_entries = n_entries;
    });
}

std::string header_only_file(uint64_t n_tensors, uint64_t n_entries, size_t more) {
    Sketch s;
    s.n_tensors = n_tensors;
    s.n_entries = n_entries;
    return s.bytes() + std::string(more, '\0');
}

// One tensor of rank 1 with a name of 30 bytes, of whose info only `size` bytes are left.
std::string cut_tensor_info(size_t size) {
    Sketch s;
    s.tensors = {{std::string(30, 'n'), {32}, 0, 0}};
    return s.infos().substr(0, 24 + size) +
           std::string(24, 'x').substr(0, size < 24 ? 24 - size : 0);
}

constexpr uint64_t kHuge = ~uint64_t(0);
constexpr uint64_t kSign = uint64_t(1) << 63;
const char *kQ = "blk.0.attn_q.weight";

std::string nested_arrays(int depth) {
    std::string out = raw(9u);
    for (int i = 0; i < depth; ++i)
        out += raw(9u) + raw(uint64_t(1));
    return out + raw(0u) + raw(uint64_t(0));
}

std::vector<Mutation> header_mutations() {
    std::vector<Mutation> all = {
        {2, "magic_fugg", "bad_magic", "", change([](Sketch &s) { s.magic = "FUGG"; })},
        {2, "magic_ggml", "bad_magic", "", change([](Sketch &s) { s.magic = "GGML"; })},
        {2, "magic_ggjt", "bad_magic", "", change([](Sketch &s) { s.magic = "ggjt"; })},
        {2, "magic_lower", "bad_magic", "", change([](Sketch &s) { s.magic = "gguf"; })},
        {3, "version_0", "unsupported_version", "", change([](Sketch &s) { s.version = 0; })},
        {3, "version_1", "unsupported_version", "", change([](Sketch &s) { s.version = 1; })},
        {4, "version_4", "unsupported_version", "", change([](Sketch &s) { s.version = 4; })},
        {4, "version_swapped", "wrong_endian", "",
         change([](Sketch &s) { s.version = 0x03000000; })},
        {5, "tensors_max", "count_exceeds_file", "", header_only(kHuge, 16)},
        {5, "tensors_2_63", "count_exceeds_file", "", header_only(kSign, 16)},
        {5, "tensors_past_file", "count_exceeds_file", "", header_only(64, 16)},
        {5, "tensors_over_limit", "too_many_tensors", "",
         [] { return header_only_file(65537, 0, 65537 * 24); }},
        {6, "entries_max", "count_exceeds_file", "", header_only(3, kHuge)},
        {6, "entries_wrap", "count_exceeds_file", "", header_only(3, kHuge / 88 + 1)},
        {6, "entries_over_limit", "too_many_entries", "",
         [] { return header_only_file(0, 65537, 65537 * 13); }},
        {7, "one_entry_missing", "truncated_kv", "",
         [] {
             Sketch s;
             s.entries = {{"a.b", u32_value(7)}, {"a.c", u32_value(8)}};
             s.n_entries = 3;
             return s.bytes() + std::string(7, 'x');
         }},
    };
    for (size_t length = 0; length < 24; ++length)
        all.push_back({1, "cut_header", "truncated_header", "",
                       [length] { return valid_sketch(1).bytes().substr(0, length); }});
    return all;
}

std::vector<Mutation> entry_mutations() {
    const auto key_length = [](uint64_t length) {
        return change([=](Sketch &s) { s.entries[3].key_length = length; });
    };
    return {
        {8, "key_length_max", "string_too_long", "", key_length(kHuge)},
        {9, "key_past_file", "string_exceeds_file", "", key_length(65536)},
        {9, "key_over_limit", "string_too_long", "", entry(std::string(65536, 'k'), u32_value(1))},
        {10, "key_empty", "bad_key", "", entry("", u32_value(1))},
        {11, "key_nul", "bad_key", "a\\x00b", entry(std::string("a\0b", 3), u32_value(1))},
        {11, "key_bad_utf8", "bad_key", "\\xFF", entry("a\xFF", u32_value(1))},
        {11, "key_control", "bad_key", "\\x1B", entry("a\x1B[31m\n", u32_value(1))},
        {12, "key_twice", "duplicate_key", "test.u8", entry("test.u8", u32_value(1))},
        {13, "value_type_13", "bad_value_type", "'k'", entry("k", value(13, uint64_t(0)))},
        {13, "value_type_max", "bad_value_type", "'k'", entry("k", value(0xFFFFFFFF, uint64_t(0)))},
        {13, "value_type_2_31", "bad_value_type", "'k'",
         entry("k", value(0x80000000, uint64_t(0)))},
        {14, "string_2_63", "string_exceeds_file", "'k'", entry("k", value(8, kSign))},
        {14, "string_2_40", "string_exceeds_file", "'k'", entry("k", value(8, uint64_t(1) << 40))},
        {14, "string_one_more", "string_exceeds_file", "'k'",
         [] {
             Sketch s;
             s.entries = {{"k", value(8, uint64_t(5)) + "1234"}};
             return s.bytes();
         }},
        {15, "array_wraps", "array_too_large", "'k'",
         entry("k", array_value(10, kHuge / 8 + 2, ""))},
        {15, "array_past_file", "count_exceeds_file", "'k'", entry("k", array_value(10, 1000, ""))},
        {16, "empty_strings", "count_exceeds_file", "'k'",
         entry("k", array_value(8, uint64_t(1) << 31, std::string(65536, '\0')))},
        {16, "strings_over_limit", "array_too_large", "'k'",
         [] {
             constexpr uint64_t kCount = (2u << 20) + 1;
             return entry("k", array_value(8, kCount, std::string(8 * kCount, '\0')))();
         }},
        {16, "array_string_past_file", "string_exceeds_file", "'k'",
         entry("k", array_value(8, 2, raw_string("a") + raw(kHuge)))},
        {17, "array_of_array", "nested_array", "'k'", entry("k", nested_arrays(1))},
        {17, "arrays_10000_deep", "nested_array", "'k'", entry("k", nested_arrays(10000))},
        {18, "element_type_13", "bad_value_type", "'k'", entry("k", array_value(13, 0, ""))},
        {18, "element_type_max", "bad_value_type", "'k'",
         entry("k", array_value(0xFFFFFFFF, 0, ""))},
        {19, "bool_2", "bad_bool", "'k'", entry("k", value(7, uint8_t(2)))},
        {19, "bool_255", "bad_bool", "'k'", entry("k", value(7, uint8_t(255)))},
        {19, "bool_2_in_array", "bad_bool", "'k'", entry("k", array_value(7, 3, "\1\2\1"))},
        {20, "alignment_0", "bad_alignment", "general.alignment", alignment(u32_value(0))},
        {21, "alignment_13", "bad_alignment", "general.alignment", alignment(u32_value(13))},
        {21, "alignment_4", "bad_alignment", "general.alignment", alignment(u32_value(4))},
        {22, "alignment_2_31", "alignment_too_large", "general.alignment",
         alignment(u32_value(1u << 31))},
        {22, "alignment_2_20", "alignment_too_large", "general.alignment",
         alignment(u32_value(1u << 20))},
        {23, "alignment_int32", "wrong_type", "general.alignment",
         alignment(value(5, int32_t(32)))},
        {23, "alignment_string", "wrong_type", "general.alignment", alignment(string_value("32"))},
    };
}

std::vector<Mutation> tensor_mutations() {
    const auto name = [](std::string text) {
        return tensor([=](SketchTensor &t) { t.name = text; });
    };
    return {
        {24, "name_64", "name_too_long", "", name(std::string(64, 'n'))},
        {24, "name_max", "name_too_long", "",
         tensor([](SketchTensor &t) { t.name_length = kHuge; })},
        {24, "name_empty", "bad_name", "", name("")},
        {24, "name_control", "bad_name", "\\x07", name("a\a")},
        {24, "name_past_file", "string_exceeds_file", "", [] { return cut_tensor_info(8 + 3); }},
        {24, "info_cut", "truncated_tensor_info", "",
         [] { return cut_tensor_info(8 + 30 + 4 + 8 + 4 + 7); }},
        {25, "name_twice", "duplicate_tensor", "token_embd.weight", name("token_embd.weight")},
        {26, "rank_5", "too_many_dims", kQ, dims({32, 1, 1, 1, 1}, 8)},
        {26, "rank_max", "too_many_dims", kQ, tensor([](SketchTensor &t) { t.rank = 0xFFFFFFFF; })},
        {27, "dim_4_0", "zero_dim", kQ, dims({4, 0})},
        {27, "dim_0", "zero_dim", kQ, dims({0}, 8)},
        {28, "dim_minus_1", "bad_dim", kQ, dims({kHuge})},
        {28, "dim_2_63", "bad_dim", kQ, dims({1, kSign})},
        {29, "elements_wrap", "elements_overflow", kQ,
         dims({uint64_t(1) << 32, uint64_t(1) << 32})},
        {29, "elements_wrap_to_small", "elements_overflow", kQ,
         dims({uint64_t(1) << 62, 4, 32}, 8)},
        {30, "bytes_wrap", "bytes_overflow", kQ, dims({uint64_t(1) << 61, 2}, 27)},
        {31, "type_count", "bad_tensor_type", kQ, dims({64, 2}, 40)},
        {31, "type_max", "bad_tensor_type", kQ, dims({64, 2}, 0xFFFFFFFF)},
        {31, "type_retired_4", "bad_tensor_type", kQ, dims({64, 2}, 4)},
        {31, "type_retired_36", "bad_tensor_type", kQ, dims({64, 2}, 36)},
        {32, "row_33", "row_not_block_multiple", kQ, dims({33, 2}, 8)},
        {32, "row_128_of_256", "row_not_block_multiple", kQ, dims({128, 2}, 12)},
        {33, "offset_unaligned", "bad_offset", "output_norm.weight", last_offset(8)},
        {33, "offset_swapped", "bad_offset", "token_embd.weight",
         change([](Sketch &s) { std::swap(s.tensors[0].offset, s.tensors[1].offset); })},
        {34, "end_past_file", "tensor_past_eof", "output_norm.weight",
         change([](Sketch &s) { s.tensors.back().dims[0] *= 2; })},
        {34, "offset_wraps", "tensor_past_eof", "output_norm.weight",
         change([](Sketch &s) { s.tensors.back().offset = kHuge - 31; })},
        {34, "one_byte_short", "tensor_past_eof", "output_norm.weight",
         change([](Sketch &s) { s.data.pop_back(); })},
        {35, "total_wraps", "total_overflow", "", change([](Sketch &s) {
             for (SketchTensor &t : s.tensors)
                 t.type = 24, t.dims = {0x7FFFFFFFFFFFFFC0};
         })},
        {36, "overlap", "overlap", "output_norm.weight", last_offset(-32)},
        {36, "gap", "bad_offset", "output_norm.weight", change([](Sketch &s) {
             s.tensors.back().offset += 32;
             s.data += std::string(32, 'x');
         })},
        {36, "no_data", "truncated_data", "", change([](Sketch &s) { s.data.clear(); })},
        {36, "cut_before_data", "truncated_data", "", [] { return valid_sketch(1).infos(); }},
    };
}

void PrintTo(const Mutation &mutation, std::ostream *out) { *out << mutation.name; }

class Malformed : public testing::TestWithParam<Mutation> {};

TEST_P(Malformed, GivesTheNamedError) {
    const Mutation &mutation = GetParam();
    const std::string bytes = mutation.bytes();
    const bool measured = kMemoryIsMeasurable && reset_peak_memory();
    const uint64_t before = peak_memory();
    const auto parsed = GgufFile::parse(as_bytes(bytes), "label");
    if (measured) {
        EXPECT_LT(peak_memory() - before, bytes.size() + 64 * kMiB);
    }
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.error().tag, mutation.tag) << parsed.error().message;
    EXPECT_EQ(parsed.error().code, Code::malformed);
    EXPECT_EQ(parsed.error().message.rfind("label: byte ", 0), 0u) << parsed.error().message;
    EXPECT_NE(parsed.error().message.find("expected"), std::string::npos) << parsed.error().message;
    EXPECT_NE(parsed.error().message.find(mutation.subject), std::string::npos)
        << parsed.error().message;

    const ScratchFolder folder;
    const auto opened = GgufFile::open(folder.write("file.gguf", bytes));
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().tag, mutation.tag);
}

std::string case_name(const testing::TestParamInfo<Mutation> &info) {
    return std::to_string(info.param.number) + "_" + info.param.name + "_" +
           std::to_string(info.index);
}
INSTANTIATE_TEST_SUITE_P(Header, Malformed, testing::ValuesIn(header_mutations()), case_name);
INSTANTIATE_TEST_SUITE_P(Entries, Malformed, testing::ValuesIn(entry_mutations()), case_name);
INSTANTIATE_TEST_SUITE_P(Tensors, Malformed, testing::ValuesIn(tensor_mutations()), case_name);

// Negative control of the cases above: the file that they change loads.
TEST(MalformedControl, TheUnchangedFileLoads) {
    for (const uint32_t version : {2u, 3u}) {
        Sketch sketch = valid_sketch(1);
        sketch.version = version;
        const std::string bytes = sketch.bytes();
        const auto file = GgufFile::parse(as_bytes(bytes), "label");
        ASSERT_TRUE(file.ok()) << file.error().message;
        EXPECT_EQ((*file)->tensors().size(), 3u);
    }
}

// 46. Cut at every page of the data.
TEST(MalformedFile, CutInTheDataIsRefused) {
    const std::string bytes = valid_sketch(2, 16384).bytes();
    const ScratchFolder folder;
    for (size_t size = 4096; size < bytes.size(); size += 4096) {
        const auto file = GgufFile::open(folder.write("cut.gguf", bytes.substr(0, size)));
        ASSERT_FALSE(file.ok()) << size;
        EXPECT_EQ(file.error().tag, "tensor_past_eof");
    }
}

// 47. Things that are not regular files of a sane size.
TEST(MalformedFile, OnlyRegularFilesAreRead) {
    const ScratchFolder folder;
    const auto tag_of = [](const std::filesystem::path &path) {
        const auto file = GgufFile::open(path);
        return file.ok() ? std::string("loaded") : file.error().tag;
    };
    ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
    EXPECT_EQ(tag_of(folder / "fifo"), "not_a_regular_file");
    EXPECT_EQ(tag_of("/dev/zero"), "not_a_regular_file");
    EXPECT_EQ(tag_of(folder.path()), "not_a_regular_file");
    EXPECT_EQ(tag_of(folder / "missing"), "open_failed");
    EXPECT_EQ(tag_of(folder.write("empty", "")), "truncated_header");
}

TEST(MalformedFile, HugeSparseFileIsRefused) {
    const ScratchFolder folder;
    const auto path = folder.write("sparse", "");
    uint64_t size = (uint64_t(1) << 63) - 1; // 8 EiB; file systems allow less, each its own
    while (::truncate(path.c_str(), static_cast<off_t>(size)) != 0 && size > 1)
        size /= 2;
    const auto file = GgufFile::open(path);
    ASSERT_FALSE(file.ok());
    const std::string tag = file.error().tag;
    EXPECT_TRUE(tag == "file_too_large" || tag == "map_failed" || tag == "bad_magic") << tag;
}

// 48. Changed after it was opened.
TEST(MalformedFile, ChangeAfterOpeningIsNoticed) {
    const ScratchFolder folder;
    const std::string bytes = valid_sketch(3, 4096).bytes();
    const auto path = folder.write("model.gguf", bytes);
    const auto file = GgufFile::open(path);
    ASSERT_TRUE(file.ok());
    EXPECT_TRUE((*file)->verify_unchanged().ok());

    // Replaced by rename: the mapping is of the old file and stays good.
    std::filesystem::rename(folder.write("other.gguf", "x"), path);
    EXPECT_TRUE((*file)->verify_unchanged().ok());

    const auto second_path = folder.write("second.gguf", bytes);
    const auto second = GgufFile::open(second_path);
    ASSERT_TRUE(second.ok());
    ASSERT_EQ(::truncate(second_path.c_str(), off_t(bytes.size() - 1)), 0);
    const Status cut = (*second)->verify_unchanged();
    ASSERT_FALSE(cut.ok());
    EXPECT_EQ(cut.error().tag, "file_changed");

    const auto third_path = folder.write("third.gguf", bytes);
    const auto third = GgufFile::open(third_path);
    ASSERT_TRUE(third.ok());
    const timespec times[2] = {{1, 0}, {1, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, third_path.c_str(), times, 0), 0);
    EXPECT_EQ((*third)->verify_unchanged().error().tag, "file_changed");
}

// Reads everything that a loaded file offers, so that a sanitizer sees any bad view.
uint64_t walk(const GgufFile &file) {
    uint64_t sum = 0;
    for (const GgufEntry &e : file.entries()) {
        sum += e.key.size();
        if (const auto *text = std::get_if<std::string_view>(&e.value))
            for (const char c : *text)
                sum += static_cast<uint8_t>(c);
        const auto *array = std::get_if<GgufArray>(&e.value);
        if (array == nullptr) continue;
        for (const std::string_view text : array->strings)
            for (const char c : text)
                sum += static_cast<uint8_t>(c);
        if (array->element != GgufType::string)
            for (uint64_t i = 0; i < array->count; ++i)
                sum += static_cast<uint64_t>(array->integer(i)) + (array->number(i) > 0);
    }
    for (const GgufTensor &t : file.tensors())
        for (const std::byte b : t.data)
            sum += static_cast<uint8_t>(b);
    return sum;
}

struct SweepCount {
    int loaded = 0, refused = 0;
};

void try_bytes(const std::string &bytes, SweepCount &count) {
    const auto file = GgufFile::parse(as_bytes(bytes), "sweep");
    if (file.ok()) {
        EXPECT_GT(walk(**file), 0u);
        ++count.loaded;
    } else {
        EXPECT_EQ(file.error().code, Code::malformed);
        EXPECT_FALSE(file.error().tag.empty());
        ++count.refused;
    }
}

TEST(MalformedSweep, EveryByteAndEveryHeaderBit) {
    const Sketch sketch = valid_sketch(4, 790);
    const std::string valid = sketch.bytes();
    ASSERT_GT(valid.size(), 3800u);
    ASSERT_LT(valid.size(), 4400u);
    const bool measured = kMemoryIsMeasurable && reset_peak_memory();
    const uint64_t before = peak_memory();
    SweepCount count;
    for (size_t i = 0; i < valid.size(); ++i)
        for (const unsigned value : {0x00u, 0x7Fu, 0x80u, 0xFFu}) {
            std::string bytes = valid;
            bytes[i] = static_cast<char>(value);
            try_bytes(bytes, count);
        }
    for (size_t bit = 0; bit < sketch.infos().size() * 8; ++bit) {
        std::string bytes = valid;
        bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
        try_bytes(bytes, count);
    }
    for (size_t size = 0; size < valid.size(); ++size) {
        const auto cut = GgufFile::parse(as_bytes(valid).first(size), "cut");
        EXPECT_FALSE(cut.ok()) << size;
    }
    // Data bytes never matter, header bytes mostly do: both outcomes must occur in number.
    EXPECT_GT(count.loaded, 10000);
    EXPECT_GT(count.refused, 3000);
    if (measured) {
        EXPECT_LT(peak_memory() - before, 64 * kMiB);
    }
}

} // namespace
} // namespace realizar
