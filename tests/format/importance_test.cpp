// Importance matrices: files, what is refused, and what they do to quantised weights.
#include "core/format/quantize_model.h"
#include "core/quant/codec.h"
#include "scratch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

namespace realizar {
namespace {

using namespace test;

template <class T>
std::vector<std::byte> bytes_of(const std::vector<T> &values) {
    std::vector<std::byte> out(values.size() * sizeof(T));
    std::memcpy(out.data(), values.data(), out.size());
    return out;
}

struct Part {
    std::string name;
    std::vector<int64_t> dims;
    std::vector<float> values;
};

std::filesystem::path write_gguf(const ScratchFolder &folder, const char *name, const char *type,
                                 const std::vector<Part> &parts) {
    GgufWriter writer;
    writer.set_string("general.type", type);
    writer.set_string("general.architecture", "llama");
    for (const Part &part : parts)
        writer.add_tensor(part.name, DType::F32, part.dims);
    EXPECT_TRUE(writer.begin(folder / name).ok());
    for (const Part &part : parts)
        EXPECT_TRUE(writer.write_tensor(bytes_of(part.values)).ok());
    EXPECT_TRUE(writer.finish().ok());
    return folder / name;
}

TEST(Importance, SavesAndLoads) {
    const ScratchFolder folder;
    ImportanceMatrix matrix;
    ImportanceEntry *dense = matrix.entry("blk.0.attn_q.weight", 1, 3);
    dense->squares = {2, 8, 32};
    dense->counts = {4};
    ImportanceEntry *experts = matrix.entry("blk.0.ffn_up_exps.weight", 2, 2);
    experts->squares = {1, 3, 0, 0};
    experts->counts = {1, 0};
    EXPECT_EQ(matrix.entry("blk.0.attn_q.weight", 1, 4), nullptr);
    EXPECT_EQ(matrix.entry("blk.0.attn_q.weight", 1, 3), dense);
    ASSERT_TRUE(matrix.save(folder / "m.imatrix", {"text.txt", 7, 512}).ok());

    const auto loaded = ImportanceMatrix::load(folder / "m.imatrix");
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    EXPECT_EQ(loaded->size(), 2u);
    const ImportanceEntry *q = loaded->find("blk.0.attn_q.weight");
    ASSERT_NE(q, nullptr);
    EXPECT_EQ(ImportanceMatrix::column_weights(*q, 0), (std::vector<float>{0.5f, 2, 8}));
    const ImportanceEntry *up = loaded->find("blk.0.ffn_up_exps.weight");
    ASSERT_NE(up, nullptr);
    EXPECT_EQ(ImportanceMatrix::column_weights(*up, 0), (std::vector<float>{1, 3}));
    EXPECT_EQ(ImportanceMatrix::column_weights(*up, 1), (std::vector<float>{1, 1}));
    EXPECT_EQ(loaded->find("blk.0.attn_k.weight"), nullptr);

    // The layout that other programs read: sums and counts of each weight, and where they are from.
    const auto file = GgufFile::open(folder / "m.imatrix");
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(*(*file)->require_string("general.type"), "imatrix");
    EXPECT_EQ(*(*file)->require_u32("imatrix.chunk_count"), 7u);
    EXPECT_EQ(*(*file)->require_u32("imatrix.chunk_size"), 512u);
    EXPECT_EQ((*(*file)->get_array("imatrix.datasets"))->strings[0], "text.txt");
    EXPECT_EQ((*file)->find_tensor("blk.0.ffn_up_exps.weight.in_sum2")->dims,
              (std::vector<int64_t>{2, 2}));
    EXPECT_EQ((*file)->find_tensor("blk.0.ffn_up_exps.weight.counts")->dims,
              (std::vector<int64_t>{2, 1}));
}

// A column that the text never used keeps a thousandth of the average weight.
TEST(Importance, UnusedColumnsCountALittle) {
    const ImportanceEntry entry{4, {0, 400, 0, 0}, {1}};
    const auto weights = ImportanceMatrix::column_weights(entry, 0);
    EXPECT_FLOAT_EQ(weights[0], 0.1f);
    EXPECT_FLOAT_EQ(weights[1], 400);
    EXPECT_EQ(ImportanceMatrix::column_weights({2, {0, 0}, {9}}, 0), (std::vector<float>{1, 1}));
}

TEST(Importance, RefusesOtherFiles) {
    const ScratchFolder folder;
    const auto tag = [&](const char *type, const std::vector<Part> &parts) {
        const auto loaded = ImportanceMatrix::load(write_gguf(folder, "x.gguf", type, parts));
        return loaded.ok() ? std::string("ok") : loaded.error().tag;
    };
    const Part sums{"w.in_sum2", {1, 2}, {1, 2}}, counts{"w.counts", {1, 1}, {3}};
    EXPECT_EQ(tag("imatrix", {sums, counts}), "ok");
    EXPECT_EQ(tag("model", {sums, counts}), "not_importance");
    EXPECT_EQ(tag("imatrix", {sums}), "malformed_importance");
    EXPECT_EQ(tag("imatrix", {sums, {"w.counts", {2, 1}, {1, 1}}}), "malformed_importance");
    EXPECT_EQ(tag("imatrix", {{"w.in_sum2", {1, 2}, {1, NAN}}, counts}), "malformed_importance");
    EXPECT_EQ(tag("imatrix", {{"w.in_sum2", {1, 2}, {1, -1}}, counts}), "malformed_importance");
}

// The error moves to where the importance says it does not matter, expert by expert, also where a
// piece of work ends within a row.
TEST(Importance, SteersTheRounding) {
    const ScratchFolder folder;
    constexpr int64_t kExperts = 2, kRows = 300, kColumns = 288; // 288: rows and pieces do not meet
    std::mt19937 random(4);
    std::normal_distribution<float> normal(0, 0.02f);
    std::vector<float> values(kExperts * kRows * kColumns);
    for (float &value : values)
        value = normal(random);
    const auto path =
        write_gguf(folder, "in.gguf", "model",
                   {{"blk.0.ffn_up_exps.weight", {kExperts, kRows, kColumns}, values}});
    const auto in = GgufFile::open(path);
    ASSERT_TRUE(in.ok());

    // Expert 0 uses the even columns, expert 1 the odd ones.
    ImportanceMatrix matrix;
    ImportanceEntry *entry = matrix.entry("blk.0.ffn_up_exps.weight", kExperts, kColumns);
    for (int64_t i = 0; i < kExperts * kColumns; ++i)
        entry->squares[static_cast<size_t>(i)] = i % 2 == i / kColumns ? 100 : 1;
    entry->counts = {1, 1};
    const auto errors = [&](const ImportanceMatrix *importance) {
        QuantizeOptions options;
        options.importance = importance;
        const Status status =
            quantize_model(**in, folder / "out.gguf", *find_quantize_target("Q4_1"), options);
        EXPECT_TRUE(status.ok()) << status.error().message;
        const auto out = GgufFile::open(folder / "out.gguf");
        const GgufTensor &tensor = (*out)->tensors()[0];
        std::vector<float> decoded(values.size());
        EXPECT_TRUE(decode_rows(tensor.dtype, tensor.data, decoded, kColumns).ok());
        std::array<double, 2> sums{}; // used and unused columns
        for (size_t i = 0; i < values.size(); ++i) {
            const size_t expert = i / (kRows * kColumns), column = i % kColumns;
            sums[column % 2 == expert ? 0 : 1] += std::pow(decoded[i] - values[i], 2);
        }
        return sums;
    };
    const auto even = errors(nullptr), steered = errors(&matrix);
    EXPECT_NEAR(even[0] / even[1], 1, 0.05);
    EXPECT_LT(steered[0], 0.85 * even[0]);
    EXPECT_GT(steered[1], even[1]);
}

TEST(Importance, OfAnotherModelIsRefused) {
    const ScratchFolder folder;
    const auto in = GgufFile::open(
        write_gguf(folder, "in.gguf", "model", {{"w", {2, 32}, std::vector<float>(64, 1)}}));
    ASSERT_TRUE(in.ok());
    ImportanceMatrix matrix;
    matrix.entry("w", 1, 64)->counts = {1};
    QuantizeOptions options;
    options.importance = &matrix;
    const Status status =
        quantize_model(**in, folder / "out.gguf", *find_quantize_target("Q4_0"), options);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().tag, "importance_mismatch");
    EXPECT_FALSE(std::filesystem::exists(folder / "out.gguf"));
}

// The format before GGUF, by hand.
class Dat {
  public:
    Dat &number(int32_t value) { return raw(&value, sizeof value); }
    Dat &text(const std::string &value) {
        number(static_cast<int32_t>(value.size()));
        return raw(value.data(), value.size());
    }
    Dat &floats(const std::vector<float> &values) {
        number(static_cast<int32_t>(values.size()));
        return raw(values.data(), values.size() * sizeof(float));
    }
    std::string bytes;

  private:
    Dat &raw(const void *data, size_t size) {
        bytes.append(static_cast<const char *>(data), size);
        return *this;
    }
};

TEST(Importance, ReadsTheOldFormat) {
    const ScratchFolder folder;
    Dat dat;
    dat.number(2);
    dat.text("blk.0.attn_q.weight").number(4).floats({2, 8, 32});
    dat.text("blk.0.ffn_up_exps.weight").number(0).floats({1, 3, 0, 0});
    const std::string without_trailer = dat.bytes;
    dat.number(4).text("wiki.train.raw");
    for (const std::string &bytes :
         {without_trailer, without_trailer + std::string(4, '\1'), dat.bytes}) {
        folder.write("m.dat", bytes);
        const auto loaded = ImportanceMatrix::load(folder / "m.dat");
        ASSERT_TRUE(loaded.ok()) << loaded.error().message;
        EXPECT_EQ(loaded->size(), 2u);
        EXPECT_EQ(ImportanceMatrix::column_weights(*loaded->find("blk.0.attn_q.weight"), 0),
                  (std::vector<float>{0.5f, 2, 8}));
        EXPECT_EQ(loaded->find("blk.0.ffn_up_exps.weight")->columns, 4u);
    }
    // Every cut, and numbers that are no importance, are refused.
    for (size_t size = 0; size < without_trailer.size(); ++size) {
        folder.write("m.dat", dat.bytes.substr(0, size));
        const auto loaded = ImportanceMatrix::load(folder / "m.dat");
        ASSERT_FALSE(loaded.ok()) << size;
        EXPECT_TRUE(loaded.error().tag == "not_importance" ||
                    loaded.error().tag == "malformed_importance");
    }
    for (const float value : {-1.0f, NAN, INFINITY}) {
        Dat bad;
        bad.number(1).text("w").number(1).floats({1, value});
        folder.write("m.dat", bad.bytes);
        EXPECT_EQ(ImportanceMatrix::load(folder / "m.dat").error().tag, "malformed_importance");
    }
    folder.write("m.dat", "This is a text and no importance at all.");
    EXPECT_EQ(ImportanceMatrix::load(folder / "m.dat").error().tag, "not_importance");
}

// Experts in one row of columns steer as those of a stack do.
TEST(Importance, OldFormatSteersExperts) {
    const ScratchFolder folder;
    std::mt19937 random(9);
    std::normal_distribution<float> normal;
    std::vector<float> values(2 * 8 * 32), sums(2 * 32);
    for (float &value : values)
        value = normal(random);
    for (float &sum : sums)
        sum = static_cast<float>(random() % 1000);
    const auto in =
        GgufFile::open(write_gguf(folder, "in.gguf", "model", {{"w", {2, 8, 32}, values}}));
    ASSERT_TRUE(in.ok());
    ImportanceMatrix stacked;
    ImportanceEntry *entry = stacked.entry("w", 2, 32);
    entry->squares.assign(sums.begin(), sums.end());
    entry->counts = {5, 5};
    Dat dat;
    dat.number(1).text("w").number(5).floats(sums);
    folder.write("m.dat", dat.bytes);
    const auto old = ImportanceMatrix::load(folder / "m.dat");
    ASSERT_TRUE(old.ok());
    const auto quantized = [&](const ImportanceMatrix *importance) {
        QuantizeOptions options;
        options.importance = importance;
        EXPECT_TRUE(
            quantize_model(**in, folder / "out.gguf", *find_quantize_target("Q4_0"), options).ok());
        return read_file(folder / "out.gguf");
    };
    EXPECT_EQ(quantized(&*old), quantized(&stacked));
    EXPECT_NE(quantized(&*old), quantized(nullptr));
}

} // namespace
} // namespace realizar
