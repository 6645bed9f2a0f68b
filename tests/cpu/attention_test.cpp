// Attention over long caches, where the keys of a token are split between threads, and of all types, head
// widths and groups.
#include "backend.h"

#include "core/graph/builder.h"

#include <algorithm>
#include <numeric>

namespace realizar::cpu::test {
namespace {

struct Variant {
    const char *name;
    AttentionParams params;
    bool sinks;
};

constexpr int64_t kPageSize = 16;

struct HeadShape {
    int64_t heads, key_heads, key_dim, value_dim;
};
constexpr HeadShape kOdd = {6, 2, 40, 24};

// What is left of values in a cache of this type. The encoder looks for a good scale: again until it finds
// the scale of the values that it made.
void round_to(DType type, std::vector<double> &values) {
    Floats floats(values.begin(), values.end()), before;
    std::vector<std::byte> bytes(row_bytes(type, floats.size()));
    for (int i = 0; i < 50 && floats != before; ++i) {
        before = floats;
        find_codec(type)->encode(floats.data(), nullptr, bytes.data(), floats.size());
        find_codec(type)->decode(bytes.data(), floats.data(), floats.size());
    }
    ASSERT_EQ(floats, before);
    values.assign(floats.begin(), floats.end());
}

struct Case {
    Graph graph;
    TensorId out = kNoTensor;
    std::vector<int64_t> symbols;
    std::vector<RefValue> leaves;

    // Tokens at the end of a sequence of `length` keys; a second sequence is a third as long. Tokens change
    // sequence every third time or, `alternating`, each time.
    Case(const Variant &variant, DType cache, int64_t tokens, int64_t length, uint32_t seed,
         HeadShape shape = kOdd, bool alternating = false) {
        const int64_t page_count = length / kPageSize + 6;
        GraphBuilder b;
        const int64_t t = b.symbol(1, 64, 1);
        AttentionParams params = variant.params;
        params.scale = 0.3f;
        params.page_size = kPageSize;
        const TensorId q = b.input("q", DType::F32, {t, shape.heads, shape.key_dim});
        const int64_t cells = kPageSize * page_count * 2;
        const TensorId k = b.state("k", cache, {cells, shape.key_heads, shape.key_dim}, 1);
        const TensorId v = b.state("v", cache, {cells, shape.key_heads, shape.value_dim}, 2);
        AttentionInputs in;
        in.positions = b.input("positions", DType::I32, {t});
        in.sequences = b.input("sequences", DType::I32, {t});
        in.pages = b.input("pages", DType::I32, {2, page_count});
        in.lengths = b.input("lengths", DType::I32, {2});
        const TensorId sinks =
            variant.sinks ? b.input("sinks", DType::F32, {shape.heads}) : kNoTensor;
        out = b.attention(q, k, v, in, sinks, params);
        b.output(out, "out");
        auto built = std::move(b).build();
        EXPECT_TRUE(built.ok()) << built.error().message;
        graph = std::move(*built);
        symbols = {tokens};
        leaves.resize(graph.tensors().size());

        Random random(seed);
        std::normal_distribution<double> normal;
        const auto numbers = [&](TensorId id, std::vector<int64_t> dims) {
            leaves[id].dims = std::move(dims);
            uint64_t n = 1;
            for (const int64_t d : leaves[id].dims)
                n *= static_cast<uint64_t>(d);
            leaves[id].data.resize(n);
            for (double &x : leaves[id].data)
                x = f16_to_f32(f32_to_f16(static_cast<float>(normal(random))));
        };
        numbers(q, {tokens, shape.heads, shape.key_dim});
        numbers(k, {cells, shape.key_heads, shape.key_dim});
        numbers(v, {cells, shape.key_heads, shape.value_dim});
        if (cache == DType::Q8_0 || cache == DType::Q4_0)
            for (const TensorId id : {k, v})
                round_to(cache, leaves[id].data);
        if (variant.sinks) numbers(sinks, {shape.heads});
        auto &positions = leaves[in.positions], &sequences = leaves[in.sequences];
        positions.dims = sequences.dims = {tokens};
        for (int64_t i = 0; i < tokens; ++i) {
            const bool second = alternating ? i % 2 == 1 : i % 3 == 2;
            sequences.data.push_back(second ? 1 : 0);
            positions.data.push_back(
                static_cast<double>((second ? length / 3 : length) - 1 - i / 4));
        }
        if (tokens > 4) sequences.data[4] = -1; // a padding token
        std::vector<double> pages(static_cast<size_t>(2 * page_count));
        std::iota(pages.begin(), pages.end(), 0.0);
        std::shuffle(pages.begin(), pages.end(), random);
        pages[3] = -1; // a hole in the first sequence
        leaves[in.pages] = {{2, page_count}, pages};
        leaves[in.lengths] = {{2}, {static_cast<double>(length), static_cast<double>(length / 3)}};
    }
};

const Variant kVariants[] = {
    {"causal", {}, false},
    {"window", {.window = 700}, false},
    {"alibi", {.alibi_max_bias = 8.0f, .causal = false}, false},
    {"softcap and sinks", {.softcap = 5.0f}, true},
};

TEST(Attention, SplitKeysMatchTheReference) {
    for (const Variant &variant : kVariants)
        for (const int64_t tokens : {1, 7, 40})
            for (const int64_t length : {2, 300, 1500}) {
                Case c(variant, DType::F16, tokens, length, 7);
                std::vector<RefValue> values = c.leaves;
                const Status status = ref_run(c.graph.view(), c.symbols, values);
                ASSERT_TRUE(status.ok()) << status.error().message;
                const Doubles &exact = values[c.out].data;
                for (const Kernels *kernels : available_kernels())
                    for (const uint32_t threads : {1u, 4u}) {
                        // All forms on the fastest kernels, one on the others.
                        const bool fastest = kernels == available_kernels().back();
                        if (!fastest && (threads == 1 || tokens != 7 || length != 1500)) continue;
                        Backend backend(threads, kernels->isa);
                        Loaded loaded(backend, c.graph, c.symbols, c.leaves);
                        EXPECT_CODE(RZ_OK, backend.err, loaded.submit());
                        // Scores up to about 8 in size, values about 3: a few dozen half units.
                        EXPECT_LE(worst(loaded.floats(c.out), exact, Doubles(exact.size(), 4e-6)),
                                  1)
                            << variant.name << ' ' << kernels->isa << " threads " << threads
                            << " tokens " << tokens << " length " << length;
                    }
            }
}

TEST(Attention, CachesHeadsAndGroups) {
    const HeadShape shapes[] = {
        {4, 4, 64, 64}, {8, 2, 32, 96}, {14, 2, 64, 64}, {2, 2, 256, 128}, {16, 1, 96, 64}};
    // All variants for the first shape, one for each of the others.
    for (size_t at = 0; at < std::size(shapes); ++at)
        for (const DType cache : {DType::F32, DType::F16, DType::Q8_0, DType::Q4_0})
            for (const bool alternating : {false, true})
                for (size_t which = 0; which < std::size(kVariants); ++which) {
                    if (at > 0 && which != at % std::size(kVariants)) continue;
                    const HeadShape &shape = shapes[at];
                    const Variant &variant = kVariants[which];
                    Case c(variant, cache, alternating ? 5 : 1, 700, 11, shape, alternating);
                    std::vector<RefValue> values = c.leaves;
                    const Status status = ref_run(c.graph.view(), c.symbols, values);
                    ASSERT_TRUE(status.ok()) << status.error().message;
                    const Doubles &exact = values[c.out].data;
                    for (const Kernels *kernels : available_kernels()) {
                        Backend backend(3, kernels->isa);
                        Loaded loaded(backend, c.graph, c.symbols, c.leaves);
                        EXPECT_CODE(RZ_OK, backend.err, loaded.submit());
                        // Scores up to about 16 in size.
                        EXPECT_LE(worst(loaded.floats(c.out), exact, Doubles(exact.size(), 8e-6)),
                                  1)
                            << variant.name << ' ' << kernels->isa << " key heads "
                            << shape.key_heads << " width " << shape.key_dim << " cache "
                            << static_cast<int>(cache) << (alternating ? " alternating" : "");
                    }
                }
}

TEST(Attention, ControlSeesOneKeyMore) {
    Case c(kVariants[0], DType::F16, 1, 1500, 7);
    std::vector<RefValue> values = c.leaves;
    ASSERT_TRUE(ref_run(c.graph.view(), c.symbols, values).ok());
    Case longer(kVariants[0], DType::F16, 1, 1500, 7);
    for (TensorId i = 0; i < longer.graph.tensors().size(); ++i)
        if (std::string(longer.graph.tensors()[i].name) == "positions")
            longer.leaves[i].data[0] -= 1;
    Backend backend(2);
    Loaded loaded(backend, longer.graph, longer.symbols, longer.leaves);
    EXPECT_CODE(RZ_OK, backend.err, loaded.submit());
    const Doubles &exact = values[c.out].data;
    EXPECT_GT(worst(loaded.floats(c.out), exact, Doubles(exact.size(), 4e-6)), 1);
}

} // namespace
} // namespace realizar::cpu::test
