// Text without end: a streaming engine against a plain computation that rotates every key anew by its
// place in the cache.
#include "core/engine/generate.h"
#include "core/engine/session_file.h"
#include "tests/format/scratch.h"
#include "tests/models/tiny_model.h"
#include "tests/support/engines.h"
#include "tests/support/shared.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

namespace realizar {
namespace {

constexpr uint32_t kPage = 64, kSinks = 64;
using Row = std::vector<double>;

// The two layers of TinyModel in float64, one token at a time. Keys are kept as they were before RoPE;
// when the cache is full, the 64 entries behind the sinks go.
class PlainModel {
  public:
    struct Options {
        bool halves = false;
        double scale = 1; // of positions
        std::vector<uint32_t> windows = {0, 0};
        bool turns_sinks = true; // false: their keys stay where they were, the mistake to be seen
    };
    PlainModel(const GgufFile &file, uint32_t context, Options options)
        : file_(file), context_(context), options_(std::move(options)) {}

    Row step(Token token) {
        if (layers_[0].size() == context_)
            for (auto &layer : layers_)
                layer.erase(layer.begin() + kSinks, layer.begin() + kSinks + kPage);
        ++seen_;
        Row x = row("token_embd.weight", static_cast<size_t>(token));
        for (size_t layer = 0; layer < layers_.size(); ++layer) {
            const std::string name = "blk." + std::to_string(layer) + ".";
            add(x, attention(layer, name, norm(x, name + "attn_norm.weight")));
            const Row n = norm(x, name + "ffn_norm.weight");
            Row gate = times(name + "ffn_gate.weight", n);
            const Row up = times(name + "ffn_up.weight", n);
            for (size_t i = 0; i < gate.size(); ++i)
                gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
            add(x, times(name + "ffn_down.weight", gate));
        }
        return times("token_embd.weight", norm(x, "output_norm.weight"));
    }
    void cut(size_t count) {
        for (auto &layer : layers_)
            layer.resize(count);
    }
    size_t length() const { return layers_[0].size(); }

  private:
    struct Entry {
        Row key, value;
        size_t born; // how many tokens came before
    };
    static void add(Row &x, const Row &y) {
        for (size_t i = 0; i < x.size(); ++i)
            x[i] += y[i];
    }
    Row row(const std::string &name, size_t index) const {
        const GgufTensor &tensor = *file_.find_tensor(name);
        const auto columns = static_cast<size_t>(tensor.dims.back());
        std::vector<float> floats(columns);
        std::memcpy(floats.data(), &tensor.data[index * columns * sizeof(float)],
                    columns * sizeof(float));
        return {floats.begin(), floats.end()};
    }
    Row times(const std::string &name, const Row &x) const {
        Row y(static_cast<size_t>(file_.find_tensor(name)->dims[0]));
        for (size_t r = 0; r < y.size(); ++r) {
            const Row w = row(name, r);
            for (size_t i = 0; i < x.size(); ++i)
                y[r] += w[i] * x[i];
        }
        return y;
    }
    Row norm(const Row &x, const std::string &name) const {
        double squares = 0;
        for (const double v : x)
            squares += v * v;
        const Row weight = row(name, 0);
        Row y(x.size());
        for (size_t i = 0; i < x.size(); ++i)
            y[i] = x[i] / std::sqrt(squares / static_cast<double>(x.size()) + 1e-5) * weight[i];
        return y;
    }
    Row rotated(std::span<const double> head, double position) const {
        Row y(head.size());
        const size_t pairs = head.size() / 2;
        for (size_t i = 0; i < pairs; ++i) {
            const double angle =
                position * options_.scale *
                std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(head.size()));
            const size_t a = options_.halves ? i : 2 * i, b = options_.halves ? i + pairs : a + 1;
            y[a] = head[a] * std::cos(angle) - head[b] * std::sin(angle);
            y[b] = head[a] * std::sin(angle) + head[b] * std::cos(angle);
        }
        return y;
    }
    Row attention(size_t layer, const std::string &name, const Row &x) {
        const Row q = times(name + "attn_q.weight", x);
        auto &cache = layers_[layer];
        cache.push_back(
            {times(name + "attn_k.weight", x), times(name + "attn_v.weight", x), seen_});
        const size_t width = cache.back().key.size(), here = cache.size() - 1;
        const size_t window = options_.windows[layer];
        Row out(q.size());
        for (size_t head = 0; head < q.size() / width; ++head) {
            const Row query =
                rotated(std::span(q).subspan(head * width, width), static_cast<double>(here));
            Row weights;
            double total = 0;
            for (size_t p = 0; p <= here; ++p) {
                double place = static_cast<double>(p);
                if (!options_.turns_sinks && p < kSinks)
                    place -= static_cast<double>(seen_ - 1 - here);
                const Row key = rotated(cache[p].key, place);
                double score = 0;
                for (size_t i = 0; i < width; ++i)
                    score += query[i] * key[i];
                const bool sees = window == 0 || here - p < window;
                weights.push_back(sees ? std::exp(score / std::sqrt(width)) : 0);
                total += weights.back();
            }
            for (size_t p = 0; p <= here; ++p)
                for (size_t i = 0; i < width; ++i)
                    out[head * width + i] += weights[p] / total * cache[p].value[i];
        }
        return times(name + "attn_output.weight", out);
    }

    const GgufFile &file_;
    uint32_t context_;
    Options options_;
    size_t seen_ = 0;
    std::vector<std::vector<Entry>> layers_{2};
};

double distance(std::span<const float> found, const Row &expected) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
        difference += std::pow(found[i] - expected[i], 2);
        norm += std::pow(expected[i], 2);
    }
    return std::sqrt(difference / norm);
}

class Stream : public testing::TestWithParam<std::string> {
  protected:
    static constexpr double kTolerance = 2e-5; // F32 cache and weights, sums of at most 200 terms

    void SetUp() override {
        RZ_REQUIRE_BACKEND(GetParam());
        model_.vocabulary = true;
    }
    std::shared_ptr<Engine> load(uint32_t context, EngineOptions options = {}) {
        model_.write(folder_ / "m");
        options.context = context;
        options.batch = 50;
        options.logit_rows = 50;
        options.sequences = 2;
        options.sinks = 3; // a page
        options.key_type = options.value_type = DType::F32;
        auto engine = test::load_engine(folder_ / "m", GetParam(), options);
        EXPECT_TRUE(engine.ok()) << test::message_of(engine.error());
        return engine.ok() ? *engine : nullptr;
    }
    static std::unique_ptr<Session> session(const std::shared_ptr<Engine> &engine) {
        return std::move(Session::create(engine)).value();
    }
    static std::vector<Token> tokens(size_t count, uint32_t seed = 1) {
        std::mt19937 random(seed);
        std::vector<Token> out(count);
        for (Token &token : out)
            token = static_cast<Token>(random() % test::TinyModel::kVocabulary);
        return out;
    }
    // The largest distance of any row.
    static double worst(Session &session, PlainModel &plain, std::span<const Token> tokens,
                        size_t piece) {
        double worst = 0;
        for (size_t at = 0; at < tokens.size(); at += piece) {
            const auto part = tokens.subspan(at, std::min(piece, tokens.size() - at));
            const Status status = session.append(part, [&](size_t i, std::span<const float> row) {
                worst = std::max(worst, distance(row, plain.step(part[i])));
            });
            EXPECT_TRUE(status.ok()) << test::message_of(status.error());
        }
        EXPECT_EQ(session.tokens().size(), plain.length());
        return worst;
    }

    test::ScratchFolder folder_;
    test::TinyModel model_;
};

TEST_P(Stream, FiveTimesTheContext) {
    constexpr uint32_t kContext = 200; // not whole pages
    const auto engine = load(kContext);
    ASSERT_TRUE(engine);
    const auto text = tokens(5 * kContext);
    const uint64_t memory = engine->runner().state_bytes();
    for (const size_t piece : {size_t{1}, size_t{37}, text.size()}) {
        PlainModel plain(engine->file(), kContext, {});
        const auto one = session(engine), beside = session(engine);
        ASSERT_TRUE(beside->append(std::span(text).first(70)).ok()); // another sequence's pages
        EXPECT_LT(worst(*one, plain, text, piece), kTolerance) << piece;
        // First the sinks, then the last tokens.
        const size_t held = one->tokens().size(), tail = held - kSinks;
        EXPECT_LE(held, kContext);
        EXPECT_GT(held, kContext - kPage);
        EXPECT_TRUE(std::equal(text.begin(), text.begin() + kSinks, one->tokens().begin()));
        EXPECT_TRUE(std::equal(text.end() - static_cast<ptrdiff_t>(tail), text.end(),
                               one->tokens().begin() + kSinks));
    }
    EXPECT_EQ(engine->runner().state_bytes(), memory);
}

TEST_P(Stream, TheComparisonSeesSinksThatStayBehind) {
    const auto engine = load(200);
    ASSERT_TRUE(engine);
    PlainModel::Options wrong;
    wrong.turns_sinks = false;
    PlainModel plain(engine->file(), 200, wrong);
    EXPECT_GT(worst(*session(engine), plain, tokens(600), 50), 10 * kTolerance);
}

TEST_P(Stream, OtherPairsScaledPositionsAndWindows) {
    // The tiny Llama under another name has its pairs in halves.
    for (const char *key :
         {"block_count", "embedding_length", "context_length", "feed_forward_length",
          "attention.head_count", "attention.head_count_kv", "attention.layer_norm_rms_epsilon"})
        model_.keys[std::string("qwen2.") + key] = model_.keys.at(std::string("llama.") + key);
    model_.keys["general.architecture"] = std::string("qwen2");
    model_.keys["qwen2.rope.scaling.type"] = std::string("linear");
    model_.keys["qwen2.rope.scaling.factor"] = 2.5f;
    model_.keys["qwen2.attention.sliding_window"] = 40u;
    model_.keys["qwen2.attention.sliding_window_pattern"] = 2u; // the first layer only
    PlainModel::Options options;
    options.halves = true;
    options.scale = 1 / 2.5;
    options.windows = {40, 0};
    for (const uint32_t context : {200u, 320u}) { // without and with pages of their own for windows
        const auto engine = load(context);
        ASSERT_TRUE(engine);
        PlainModel plain(engine->file(), context, options);
        EXPECT_LT(worst(*session(engine), plain, tokens(3 * context), 23), kTolerance) << context;
    }
}

TEST_P(Stream, PositionsStayBelowTheirLimit) {
    EngineOptions options;
    options.rope_limit = 0; // twice the context
    const auto engine = load(200, options);
    ASSERT_TRUE(engine);
    PlainModel plain(engine->file(), 200, {});
    const auto one = session(engine);
    const auto text = tokens(1400);
    uint32_t most = 0;
    for (size_t at = 0; at < text.size(); at += 100) {
        EXPECT_LT(worst(*one, plain, std::span(text).subspan(at, 100), 100), kTolerance);
        most = std::max(most, engine->stream_place(one->sequence()).shift);
    }
    EXPECT_GT(most, 0u);
    EXPECT_LE(most + 200, 2 * (200 + kPage));
}

TEST_P(Stream, CutAndGoOn) {
    const auto engine = load(200);
    ASSERT_TRUE(engine);
    PlainModel plain(engine->file(), 200, {});
    const auto one = session(engine);
    for (const size_t keep : {150u, 64u, 20u, 0u}) { // behind, at and among the sinks
        EXPECT_LT(worst(*one, plain, tokens(450, static_cast<uint32_t>(keep)), 50), kTolerance);
        one->cut(keep);
        plain.cut(keep);
    }
    EXPECT_LT(worst(*one, plain, tokens(300), 50), kTolerance);
}

TEST_P(Stream, SessionsGoOnFromTheirFile) {
    const auto first = load(200), second = load(200);
    ASSERT_TRUE(first && second);
    const auto one = session(first), other = session(second);
    const auto text = tokens(900);
    ASSERT_TRUE(one->append(text).ok());
    for (int round = 0; round < 3; ++round) {
        ASSERT_TRUE(save_session(*one, folder_ / "s").ok());
        const Status restored = restore_session(*other, folder_ / "s");
        ASSERT_TRUE(restored.ok()) << test::message_of(restored.error());
        EXPECT_TRUE(std::ranges::equal(one->tokens(), other->tokens()));
        for (Session *session : {one.get(), other.get()})
            ASSERT_TRUE(session->append(tokens(150, 7)).ok());
        EXPECT_TRUE(std::ranges::equal(one->logits(), other->logits()));
    }
    // Where nothing streams, or keeps other sinks, such a file has no place.
    EngineOptions options;
    options.context = 400;
    options.key_type = options.value_type = DType::F32;
    for (const uint32_t sinks : {0u, 128u}) {
        options.sinks = sinks;
        RZ_ASSERT_OK(const auto engine, test::load_engine(folder_ / "m", GetParam(), options));
        const Status refused = restore_session(*session(engine), folder_ / "s");
        ASSERT_FALSE(refused.ok());
        EXPECT_EQ(refused.error().tag, "session_mismatch");
    }
}

TEST_P(Stream, GeneratesWithoutEnd) {
    const auto engine = load(192);
    ASSERT_TRUE(engine);
    const auto one = session(engine);
    GenerateOptions options;
    options.max_tokens = 700;
    options.ignore_end = true;
    options.sampling.temperature = 1;
    options.sampling.seed = 3;
    const auto prompt = tokens(300); // longer than the context, too
    RZ_ASSERT_OK(const Generation out, generate(*one, prompt, options));
    EXPECT_EQ(out.tokens.size(), 700u);
    auto text = prompt;
    text.insert(text.end(), out.tokens.begin(), out.tokens.end() - 1);
    const auto again = session(engine);
    ASSERT_TRUE(again->append(text).ok());
    EXPECT_TRUE(std::ranges::equal(one->tokens(), again->tokens()));
}

TEST_P(Stream, NeedsRoom) {
    model_.write(folder_ / "m");
    EngineOptions options;
    options.sinks = 65; // two pages
    options.context = 255;
    const auto small = test::load_engine(folder_ / "m", GetParam(), options);
    ASSERT_FALSE(small.ok());
    EXPECT_EQ(small.error().tag, "bad_option");
    EXPECT_NE(small.error().message.find("256"), std::string::npos) << small.error().message;
}

INSTANTIATE_TEST_SUITE_P(Backends, Stream, testing::Values("reference", "cpu"));

// What a device with memory of its own has to do differently: reading and writing keys between steps.
using StreamOnDevice = Stream;
TEST_P(StreamOnDevice, GoesOn) {
    const auto engine = load(200);
    ASSERT_TRUE(engine);
    PlainModel plain(engine->file(), 200, {});
    EXPECT_LT(worst(*session(engine), plain, tokens(350), 50), kTolerance);
}
INSTANTIATE_TEST_SUITE_P(Backends, StreamOnDevice, testing::Values("vulkan"));

TEST(Streaming, LearnedPositionsCannot) {
    RZ_REQUIRE_SHARED(path, "fixtures/arch/gpt2.gguf");
    EngineOptions options;
    options.context = 256;
    options.sinks = 4;
    const auto engine = test::load_engine(path, "reference", options);
    ASSERT_FALSE(engine.ok());
    EXPECT_EQ(engine.error().tag, "cannot_stream");
}

TEST(Streaming, RecurrentStatesHaveNoEndAnyway) {
    RZ_REQUIRE_SHARED(path, "fixtures/arch/mamba.gguf");
    EngineOptions options;
    options.context = 192;
    options.sinks = 1;
    RZ_ASSERT_OK(const auto engine, test::load_engine(path, "reference", options));
    options.sinks = 0;
    options.context = 600;
    RZ_ASSERT_OK(const auto whole, test::load_engine(path, "reference", options));
    std::vector<Token> text(500);
    for (size_t i = 0; i < text.size(); ++i)
        text[i] = static_cast<Token>(3 + i * 31 % 200);
    RZ_ASSERT_OK(const auto one, Session::create(engine));
    RZ_ASSERT_OK(const auto other, Session::create(whole));
    ASSERT_TRUE(one->append(text).ok());
    ASSERT_TRUE(other->append(text).ok());
    const auto expected = other->logits();
    EXPECT_LT(distance(one->logits(), Row(expected.begin(), expected.end())), 1e-5);
}

} // namespace
} // namespace realizar
