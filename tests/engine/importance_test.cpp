// What the importance collector sees while a model reads: against norms computed here from the file,
// and on mixtures of experts.
#include "core/engine/importance_collector.h"
#include "core/engine/session.h"
#include "core/quant/codec.h"
#include "tests/support/engines.h"
#include "tests/support/shared.h"

#include <cmath>

namespace realizar {
namespace {

std::vector<float> numbers(const GgufFile &file, const std::string &name) {
    const GgufTensor &tensor = *file.find_tensor(name);
    const DTypeInfo &info = dtype_info(tensor.dtype);
    std::vector<float> out(tensor.data.size() / info.block_bytes * info.block_elements);
    EXPECT_TRUE(decode_rows(tensor.dtype, tensor.data, out, out.size()).ok());
    return out;
}

// The inputs of the first layer's attention are the embeddings of the tokens after RMS_NORM.
std::vector<double> squares_of_first_norm(const GgufFile &file, const std::vector<Token> &tokens) {
    const auto table = numbers(file, "token_embd.weight");
    const auto weight = numbers(file, "blk.0.attn_norm.weight");
    const double epsilon = *file.require_f32("llama.attention.layer_norm_rms_epsilon");
    std::vector<double> squares(weight.size());
    for (const Token token : tokens) {
        const float *row = table.data() + static_cast<size_t>(token) * weight.size();
        double sum = 0;
        for (size_t i = 0; i < weight.size(); ++i)
            sum += double{row[i]} * row[i];
        const double factor = 1 / std::sqrt(sum / static_cast<double>(weight.size()) + epsilon);
        for (size_t i = 0; i < weight.size(); ++i)
            squares[i] += std::pow(row[i] * factor * weight[i], 2);
    }
    return squares;
}

std::vector<Token> some_tokens(size_t count, uint32_t vocabulary) {
    std::vector<Token> tokens(count);
    for (size_t i = 0; i < count; ++i)
        tokens[i] = static_cast<Token>(3 + i * 37 % (vocabulary - 3));
    return tokens;
}

class ImportanceTest : public testing::TestWithParam<const char *> {
  protected:
    void SetUp() override { RZ_REQUIRE_BACKEND(GetParam()); }

    // Reads `count` tokens in steps of at most `batch` rows.
    std::shared_ptr<ImportanceCollector> read(const std::filesystem::path &model, size_t count,
                                              uint32_t batch,
                                              std::vector<float> *logits = nullptr) {
        const auto collector = std::make_shared<ImportanceCollector>();
        EngineOptions options;
        options.context = 64;
        options.batch = batch;
        options.observer = collector;
        auto loaded = test::load_engine(model, GetParam(), options);
        EXPECT_TRUE(loaded.ok()) << test::message_of(loaded.error());
        engine_ = std::move(loaded).value();
        tokens_ = some_tokens(count, engine_->config().vocabulary);
        const auto session = std::move(Session::create(engine_)).value();
        EXPECT_TRUE(session->append(tokens_).ok());
        if (logits) logits->assign(session->logits().begin(), session->logits().end());
        return collector;
    }

    std::shared_ptr<Engine> engine_;
    std::vector<Token> tokens_;
};

TEST_P(ImportanceTest, CountsWhatEachWeightIsMultipliedWith) {
    // 7 rows a step: the last one is a single token, which is another variant of the graph.
    const auto collector = read(test::draft_model(), 29, 7);
    const ImportanceMatrix &matrix = collector->matrix();
    const GgufFile &file = engine_->file();
    const auto expected = squares_of_first_norm(file, tokens_);
    for (const char *name : {"blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.attn_v.weight"}) {
        const ImportanceEntry *entry = matrix.find(name);
        ASSERT_NE(entry, nullptr) << name;
        EXPECT_EQ(entry->counts, std::vector<double>{29});
        ASSERT_EQ(entry->squares.size(), expected.size());
        for (size_t i = 0; i < expected.size(); ++i)
            EXPECT_NEAR(entry->squares[i], expected[i], 1e-5 * expected[i] + 1e-9) << i;
    }
    for (const GgufTensor &tensor : file.tensors()) {
        if (tensor.dims.size() < 2 || !tensor.name.starts_with("blk.")) continue;
        const ImportanceEntry *entry = matrix.find(tensor.name);
        ASSERT_NE(entry, nullptr) << tensor.name;
        EXPECT_EQ(entry->columns, static_cast<uint64_t>(tensor.dims.back())) << tensor.name;
    }
}

TEST_P(ImportanceTest, DoesNotChangeTheLogits) {
    std::vector<float> watched;
    read(test::draft_model(), 20, 20, &watched);
    EngineOptions options;
    options.context = 64;
    options.batch = 20;
    RZ_ASSERT_OK(const auto engine, test::load_engine(test::draft_model(), GetParam(), options));
    const auto session = std::move(Session::create(engine)).value();
    ASSERT_TRUE(session->append(tokens_).ok());
    double difference = 0, norm = 0;
    for (size_t i = 0; i < watched.size(); ++i) {
        difference += std::pow(watched[i] - session->logits()[i], 2);
        norm += std::pow(watched[i], 2);
    }
    EXPECT_LT(std::sqrt(difference / norm), 5e-3); // other fusions, other roundings
}

TEST_P(ImportanceTest, CountsExpertsOneByOne) {
    RZ_REQUIRE_SHARED(model, "fixtures/arch/mixtral.gguf");
    const auto collector = read(model, 24, 8);
    const uint32_t used = *engine_->file().require_u32("llama.expert_used_count");
    for (const char *name : {"blk.0.ffn_up_exps.weight", "blk.0.ffn_down_exps.weight"}) {
        const ImportanceEntry *entry = collector->matrix().find(name);
        ASSERT_NE(entry, nullptr) << name;
        double rows = 0;
        for (uint64_t e = 0; e < entry->matrices(); ++e) {
            double squares = 0;
            for (uint64_t i = 0; i < entry->columns; ++i)
                squares += entry->squares[e * entry->columns + i];
            EXPECT_EQ(squares > 0, entry->counts[e] > 0) << e;
            rows += entry->counts[e];
        }
        EXPECT_EQ(rows, 24.0 * used) << name;
    }
}

INSTANTIATE_TEST_SUITE_P(Backends, ImportanceTest, testing::Values("reference", "cpu"),
                         [](const auto &row) { return std::string(row.param); });

} // namespace
} // namespace realizar
