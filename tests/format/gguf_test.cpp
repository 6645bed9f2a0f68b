#include "core/format/gguf.h"
#include "gguf_sketch.h"
#include "scratch.h"
#include "tests/support/shared.h"

#include <gtest/gtest.h>

namespace realizar {
namespace {

using namespace test;

TEST(GgufReader, ReadsEveryValueType) {
    const std::string bytes = valid_sketch(11).bytes();
    const auto parsed = GgufFile::parse(as_bytes(bytes), "label");
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    const GgufFile &file = **parsed;
    std::mt19937 random(11);
    EXPECT_EQ(std::get<uint64_t>(file.find("test.u8")->value), uint8_t(random()));
    EXPECT_EQ(std::get<int64_t>(file.find("test.i8")->value), int8_t(random()));
    EXPECT_EQ(std::get<uint64_t>(file.find("test.u16")->value), uint16_t(random()));
    EXPECT_EQ(std::get<int64_t>(file.find("test.i16")->value), int16_t(random()));
    EXPECT_EQ(std::get<uint64_t>(file.find("test.u32")->value), uint32_t(random()));
    EXPECT_EQ(std::get<int64_t>(file.find("test.i32")->value), int32_t(random()));
    EXPECT_EQ(std::get<uint64_t>(file.find("test.u64")->value), uint64_t(random()) << 30);
    EXPECT_EQ(std::get<int64_t>(file.find("test.i64")->value), -(int64_t(random()) << 30));
    EXPECT_EQ(**file.get_f32("test.f32"), 0.37f);
    EXPECT_EQ(std::get<double>(file.find("test.f64")->value), -1.25e-300);
    EXPECT_TRUE(**file.get_bool("test.bool"));
    EXPECT_EQ(**file.get_string("general.architecture"), "llama");
    const GgufArray *strings = *file.get_array("test.strings");
    ASSERT_EQ(strings->count, 3u);
    EXPECT_EQ(strings->strings[2], "\xE2\x96\x81x");
    const GgufArray *numbers = *file.get_array("test.i32s");
    const std::string content = random_bytes(random, 12);
    for (uint64_t i = 0; i < 3; ++i) {
        int32_t expected = 0;
        std::memcpy(&expected, content.data() + 4 * i, 4);
        EXPECT_EQ(numbers->integer(i), expected);
        EXPECT_EQ(numbers->number(i), expected);
    }
}

TEST(GgufReader, ReversesDimensionsAndPlacesData) {
    const Sketch sketch = valid_sketch(12);
    const std::string bytes = sketch.bytes();
    const auto parsed = GgufFile::parse(as_bytes(bytes), "label");
    ASSERT_TRUE(parsed.ok());
    const GgufTensor *q = (*parsed)->find_tensor("blk.0.attn_q.weight");
    ASSERT_NE(q, nullptr);
    EXPECT_EQ(q->dims, (std::vector<int64_t>{2, 64}));
    EXPECT_EQ(q->dtype, DType::Q8_0);
    EXPECT_EQ(q->data.size(), 4u * 34);
    EXPECT_EQ(q->data.data(), as_bytes(bytes).data() + q->file_offset);
    EXPECT_EQ(std::memcmp(q->data.data(), sketch.data.data() + 64, q->data.size()), 0);
    EXPECT_EQ((*parsed)->find_tensor("output_norm.weight")->dims, (std::vector<int64_t>{2, 1, 3}));
    EXPECT_EQ((*parsed)->find_tensor("output_norm"), nullptr);
}

TEST(GgufReader, ScalarTensorAndOtherAlignments) {
    for (const uint32_t alignment : {8u, 64u, 4096u, 65536u}) {
        Sketch sketch;
        sketch.alignment = alignment;
        sketch.entries = {{"general.alignment", u32_value(alignment)}};
        sketch.tensors = {{"scalar", {}, 0, 0}, {"row", {5}, 0, alignment}};
        sketch.data = std::string(alignment, 'a') + std::string(20, 'b');
        const std::string bytes = sketch.bytes();
        const auto parsed = GgufFile::parse(as_bytes(bytes), "label");
        ASSERT_TRUE(parsed.ok()) << parsed.error().message;
        EXPECT_EQ((*parsed)->find_tensor("scalar")->dims, (std::vector<int64_t>{1}));
        EXPECT_EQ((*parsed)->find_tensor("row")->data[0], std::byte{'b'});
    }
}

TEST(GgufReader, TypedAccessChecksTypeAndRange) {
    Sketch sketch = valid_sketch(13);
    sketch.entries.push_back({"big", value(10, uint64_t(1) << 32)});
    sketch.entries.push_back({"negative", value(5, int32_t(-1))});
    sketch.entries.push_back({"fits", value(11, int64_t(0xFFFFFFFF))});
    const std::string bytes = sketch.bytes();
    const auto parsed = GgufFile::parse(as_bytes(bytes), "label");
    ASSERT_TRUE(parsed.ok());
    const GgufFile &file = **parsed;
    EXPECT_EQ(file.get_u32("big").error().tag, "wrong_type");
    EXPECT_EQ(file.get_u32("negative").error().tag, "wrong_type");
    EXPECT_EQ(file.get_u32("test.f32").error().tag, "wrong_type");
    EXPECT_EQ(file.get_f32("test.u8").error().tag, "wrong_type");
    EXPECT_EQ(file.get_bool("test.u8").error().tag, "wrong_type");
    EXPECT_EQ(file.get_string("test.u8").error().tag, "wrong_type");
    EXPECT_EQ(file.get_array("test.u8").error().tag, "wrong_type");
    EXPECT_NE(file.get_u32("test.f32").error().message.find("test.f32"), std::string::npos);
    EXPECT_EQ(*file.require_u32("fits"), 0xFFFFFFFFu);
    EXPECT_FALSE(file.get_u32("missing")->has_value());
    EXPECT_EQ(*file.get_array("missing"), nullptr);
    EXPECT_EQ(file.require_u32("missing").error().tag, "missing_key");
    EXPECT_EQ(file.require_f32("missing").error().tag, "missing_key");
    EXPECT_EQ(file.require_string("missing").error().tag, "missing_key");
}

// Negative control of the memory limits in these tests: the probe sees what is allocated.
TEST(MemoryProbe, SeesAllocations) {
    if (!kMemoryIsMeasurable || !reset_peak_memory())
        GTEST_SKIP() << "memory cannot be measured here";
    const uint64_t before = peak_memory();
    const auto block = std::make_unique<std::string>(32 * kMiB, 'x');
    EXPECT_EQ(block->find_first_not_of('x'), block->npos);
    EXPECT_GE(peak_memory() - before, 31 * kMiB);
}

// A file at every limit at once loads within the memory that docs/formats/gguf.md promises.
TEST(GgufReader, LimitsFitTheMemoryBudget) {
    Sketch sketch;
    constexpr uint64_t kCount = 65536, kStrings = 2u << 20;
    sketch.entries.push_back(
        {"strings", array_value(8, kStrings, std::string(8 * kStrings, '\0'))});
    for (uint64_t i = 1; i < kCount; ++i)
        sketch.entries.push_back({"k" + std::to_string(i), value(0, uint8_t(i))});
    for (uint64_t i = 0; i < kCount; ++i)
        sketch.tensors.push_back({"t" + std::to_string(i), {1, 1, 1, 1}, 0, 32 * i});
    sketch.data = std::string(32 * kCount, 'x');
    const std::string bytes = sketch.bytes();
    const bool measured = kMemoryIsMeasurable && reset_peak_memory();
    const uint64_t before = peak_memory();
    const auto file = GgufFile::parse(as_bytes(bytes), "label");
    if (measured) {
        EXPECT_LT(peak_memory() - before, 64 * kMiB);
    }
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ((*file)->find_tensor("t65535")->file_offset, bytes.size() - 32);
    EXPECT_EQ(*(*file)->require_u32("k65535"), 255u);
}

struct PlannedTensor {
    std::string name;
    DType dtype;
    std::vector<int64_t> dims;
    std::string data;
};

std::vector<PlannedTensor> random_tensors(std::mt19937 &random) {
    std::vector<PlannedTensor> tensors;
    const size_t count = random() % 6;
    for (size_t i = 0; i < count; ++i) {
        const DTypeInfo &info = dtype_table()[random() % dtype_table().size()];
        PlannedTensor tensor{"blk." + std::to_string(i) + ".x", info.dtype, {}, {}};
        const size_t rank = 1 + random() % 4;
        for (size_t d = 0; d + 1 < rank; ++d)
            tensor.dims.push_back(1 + random() % 5);
        tensor.dims.push_back(info.block_elements * (1 + random() % 3));
        uint64_t elements = 1;
        for (const int64_t dim : tensor.dims)
            elements *= static_cast<uint64_t>(dim);
        tensor.data = random_bytes(random, row_bytes(info, elements));
        tensors.push_back(std::move(tensor));
    }
    return tensors;
}

bool same_value(const GgufEntry &a, const GgufEntry &b) {
    if (a.key != b.key || a.type != b.type || a.value.index() != b.value.index()) return false;
    if (const auto *x = std::get_if<GgufArray>(&a.value)) {
        const auto &y = std::get<GgufArray>(b.value);
        return x->element == y.element && x->count == y.count && x->strings == y.strings &&
               std::ranges::equal(x->bytes, y.bytes);
    }
    return std::visit(
        [&](const auto &x) {
            using T = std::decay_t<decltype(x)>;
            if constexpr (std::is_same_v<T, GgufArray>)
                return false;
            else
                return x == std::get<T>(b.value);
        },
        a.value);
}

TEST(GgufWriter, RoundTripOfRandomFiles) {
    const ScratchFolder folder;
    for (uint32_t seed = 0; seed < 40; ++seed) {
        std::mt19937 random(seed);
        const std::string source_bytes = valid_sketch(seed).bytes();
        const auto source = GgufFile::parse(as_bytes(source_bytes), "source");
        ASSERT_TRUE(source.ok());
        const auto tensors = random_tensors(random);
        const std::string text = random_bytes(random, random() % 100);
        GgufWriter writer;
        for (const GgufEntry &entry : (*source)->entries())
            writer.copy(entry);
        writer.set_u32("general.alignment", 8u << random() % 8);
        writer.set_string("text", text);
        writer.set_string_array("texts", {text, "", "b"});
        writer.set_f32_array("floats", {1.5f, -0.25f});
        writer.set_i32_array("ints", {-1, 1 << 30});
        writer.set_i32("i", -5);
        writer.set_u64("u", 1ull << 40);
        writer.set_f32("f", 0.1f);
        writer.set_bool("b", seed % 2);
        for (const PlannedTensor &tensor : tensors)
            writer.add_tensor(tensor.name, tensor.dtype, tensor.dims);
        const auto path = folder / "out.gguf";
        ASSERT_TRUE(writer.begin(path).ok());
        for (const PlannedTensor &tensor : tensors) {
            const size_t cut = random() % tensor.data.size();
            ASSERT_TRUE(writer.write_tensor(as_bytes(tensor.data).first(cut)).ok());
            ASSERT_TRUE(writer.write_tensor(as_bytes(tensor.data).subspan(cut)).ok());
        }
        ASSERT_TRUE(writer.finish().ok());

        const auto opened = GgufFile::open(path);
        ASSERT_TRUE(opened.ok()) << opened.error().message;
        const GgufFile &file = **opened;
        for (const GgufEntry &entry : (*source)->entries()) {
            const GgufEntry *found = file.find(entry.key);
            ASSERT_NE(found, nullptr) << entry.key;
            if (entry.key == "general.alignment") continue;
            EXPECT_TRUE(same_value(entry, *found)) << entry.key;
        }
        EXPECT_EQ(*file.require_string("text"), text);
        EXPECT_EQ((*file.get_array("texts"))->strings[0], text);
        EXPECT_EQ((*file.get_array("floats"))->number(1), -0.25);
        EXPECT_EQ((*file.get_array("ints"))->integer(0), -1);
        EXPECT_EQ(*file.require_f32("f"), 0.1f);
        EXPECT_EQ(**file.get_bool("b"), seed % 2 == 1);
        ASSERT_EQ(file.tensors().size(), tensors.size());
        for (size_t i = 0; i < tensors.size(); ++i) {
            EXPECT_EQ(file.tensors()[i].name, tensors[i].name);
            EXPECT_EQ(file.tensors()[i].dtype, tensors[i].dtype);
            EXPECT_EQ(file.tensors()[i].dims, tensors[i].dims);
            EXPECT_TRUE(std::ranges::equal(file.tensors()[i].data, as_bytes(tensors[i].data)));
        }
    }
}

TEST(GgufWriter, LeavesNothingBehindWhenAbandonedAndKeepsTheOldFile) {
    const ScratchFolder folder;
    const auto path = folder.write("out.gguf", "old");
    const std::string data(128, 'x');
    {
        GgufWriter writer;
        writer.add_tensor("t", DType::F32, {32});
        ASSERT_TRUE(writer.begin(path).ok());
        ASSERT_TRUE(writer.write_tensor(as_bytes(data).first(64)).ok());
        EXPECT_EQ(writer.finish().error().tag, "writer_order");
    }
    EXPECT_EQ(read_file(path), "old");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(GgufWriter, RefusesWhatTheReaderWouldRefuse) {
    const ScratchFolder folder;
    const auto tag = [&](auto fill) {
        GgufWriter writer;
        fill(writer);
        const Status status = writer.begin(folder / "out.gguf");
        return status.ok() ? std::string("begun") : status.error().tag;
    };
    using W = GgufWriter;
    EXPECT_EQ(tag([](W &w) { w.add_tensor("t", DType::Q8_0, {33}); }), "row_not_block_multiple");
    EXPECT_EQ(tag([](W &w) { w.add_tensor("t", DType::F32, {0}); }), "bad_dim");
    EXPECT_EQ(tag([](W &w) { w.add_tensor("t", DType::F32, {1, 1, 1, 1, 1}); }), "too_many_dims");
    EXPECT_EQ(tag([](W &w) { w.add_tensor(std::string(64, 'n'), DType::F32, {1}); }),
              "name_too_long");
    EXPECT_EQ(tag([](W &w) { w.add_tensor("a\n", DType::F32, {1}); }), "bad_name");
    EXPECT_EQ(
        tag([](W &w) { w.add_tensor("t", DType::F32, {1}), w.add_tensor("t", DType::F32, {1}); }),
        "duplicate_tensor");
    EXPECT_EQ(tag([](W &w) {
                  w.add_tensor("t", DType::F64, {1ll << 40, 1ll << 40});
              }),
              "elements_overflow");
    EXPECT_EQ(tag([](W &w) { w.add_tensor("t", DType::F64, {1ll << 61}); }), "bytes_overflow");
    EXPECT_EQ(tag([](W &w) { w.set_u32("", 1); }), "bad_key");
    EXPECT_EQ(tag([](W &w) { w.set_u32("general.alignment", 12); }), "bad_alignment");
    EXPECT_EQ(tag([](W &w) { w.set_i32("general.alignment", 32); }), "wrong_type");
    EXPECT_EQ(tag([](W &w) { w.set_u32("good", 1); }), "begun");

    GgufWriter writer;
    writer.add_tensor("t", DType::F32, {2});
    const std::string data(12, 'x');
    EXPECT_EQ(writer.write_tensor(as_bytes(data)).error().tag, "writer_order");
    ASSERT_TRUE(writer.begin(folder / "out.gguf").ok());
    EXPECT_EQ(writer.write_tensor(as_bytes(data)).error().tag, "data_too_long");
    EXPECT_EQ(GgufWriter().begin("/nonexistent/folder/x.gguf").error().tag, "write_failed");
}

TEST(GgufReader, ReadsPublishedFiles) {
    RZ_REQUIRE_SHARED(model, "models/fable-draft-3m-f16.gguf");
    const auto file = GgufFile::open(model);
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ(*(*file)->require_string("general.architecture"), "llama");
    const GgufTensor *embedding = (*file)->find_tensor("token_embd.weight");
    ASSERT_NE(embedding, nullptr);
    EXPECT_EQ(embedding->dims, (std::vector<int64_t>{4096, 256}));

    RZ_REQUIRE_SHARED(folder, "fixtures/tokenizers");
    int read = 0;
    for (const auto &item : std::filesystem::directory_iterator(folder)) {
        if (item.path().extension() != ".gguf") continue;
        const auto vocabulary = GgufFile::open(item.path());
        EXPECT_TRUE(vocabulary.ok()) << item.path();
        ++read;
    }
    EXPECT_GT(read, 0);
}

} // namespace
} // namespace realizar
