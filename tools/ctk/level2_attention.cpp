// ATTENTION: head groups, head sizes, cache types, windows, softcap, ALiBi, sinks, several
// sequences in one submission, unmapped pages and padding rows.
#include "tools/ctk/level2.h"

#include <algorithm>
#include <cmath>

namespace realizar::ctk {
namespace {

struct Scene {
    const char *name;
    int64_t heads, kv_heads, width, value_width;
    int64_t tokens; // largest value of the token symbol
    int64_t sequences;
    int64_t page_size, pages; // of each sequence's table
    AttentionParams params;
    bool sinks = false;
    Layout layout = Layout::dense;
    bool holes = false;   // unmapped pages within the lengths
    bool bounded = false; // kv_symbol
    bool shared = false;  // keys and values are slices of one state
};

AttentionParams causal() { return {}; }
AttentionParams windowed(uint32_t window) {
    AttentionParams params;
    params.window = window;
    return params;
}
AttentionParams capped(float softcap) {
    AttentionParams params;
    params.softcap = softcap;
    return params;
}
AttentionParams alibi(float bias) {
    AttentionParams params;
    params.alibi_max_bias = bias;
    return params;
}
AttentionParams everything() {
    AttentionParams params;
    params.softcap = 20;
    params.alibi_max_bias = 4;
    params.window = 19;
    return params;
}
AttentionParams both_ways(uint32_t window = 0) {
    AttentionParams params;
    params.causal = false;
    params.window = window;
    return params;
}

std::vector<Scene> scenes() {
    return {
        {"one-key", 1, 1, 32, 32, 1, 1, 1, 1, causal()},
        {"single-head", 1, 1, 64, 64, 7, 1, 16, 4, causal()},
        {"gqa", 8, 2, 64, 64, 33, 2, 8, 9, causal()},
        {"gqa-wide-group", 12, 1, 128, 128, 5, 3, 16, 6, causal(), false, Layout::columns},
        {"odd-heads", 9, 3, 80, 80, 9, 2, 5, 13, causal(), false, Layout::split},
        {"width-96", 6, 6, 96, 96, 4, 1, 32, 3, causal()},
        {"width-256", 4, 2, 256, 256, 3, 2, 16, 4, causal()},
        {"wide-keys", 4, 2, 96, 64, 5, 2, 8, 6, causal()},
        {"window", 4, 2, 64, 64, 17, 2, 8, 9, windowed(7)},
        {"window-1", 4, 2, 32, 32, 9, 1, 8, 4, windowed(1)},
        {"softcap", 4, 4, 64, 64, 9, 2, 8, 5, capped(5)},
        {"alibi", 8, 2, 64, 64, 9, 2, 8, 5, alibi(8)},
        {"alibi-odd-heads", 6, 3, 32, 32, 9, 1, 8, 5, alibi(8)},
        {"sinks", 8, 4, 64, 64, 9, 2, 8, 5, causal(), true},
        {"sinks-window", 4, 2, 64, 64, 17, 2, 4, 9, windowed(3), true},
        {"everything", 12, 4, 128, 128, 9, 3, 8, 7, everything(), true, Layout::split, true, true},
        {"both-ways", 4, 2, 64, 64, 17, 2, 8, 5, both_ways()},
        {"both-ways-window", 4, 2, 64, 64, 17, 2, 8, 5, both_ways(5)},
        {"holes", 4, 2, 64, 64, 9, 3, 4, 11, causal(), false, Layout::dense, true},
        {"kv-symbol", 4, 2, 64, 64, 5, 2, 8, 9, causal(), false, Layout::dense, false, true},
        {"long", 2, 1, 64, 64, 2, 1, 64, 24, causal()},
        {"shared-state", 4, 2, 64, 64, 9, 2, 8, 5, causal(), false, Layout::dense, false, false,
         true},
        {"many-sequences", 4, 2, 32, 32, 21, 17, 4, 3, causal()},
    };
}

struct Types {
    DType k, v;
};

class Scenery {
  public:
    Scenery(const Scene &scene, Types types) : scene_(scene), types_(types) {}

    Result<Region> make(Random &random) {
        const int64_t cells = scene_.page_size * (scene_.pages * scene_.sequences + 2);
        const int64_t tokens = builder_.symbol(1, scene_.tokens, 1);
        const int64_t reach = scene_.page_size * scene_.pages;
        if (scene_.bounded) builder_.symbol(0, reach, reach);
        q_ = operand(builder_, "q", {tokens, scene_.heads, scene_.width}, scene_.layout);
        const auto [k, v] = caches(cells);
        inputs_.positions = builder_.input("positions", DType::I32, {tokens});
        inputs_.sequences = builder_.input("sequences", DType::I32, {tokens});
        inputs_.pages = builder_.input("pages", DType::I32, {scene_.sequences, scene_.pages});
        inputs_.lengths = builder_.input("lengths", DType::I32, {scene_.sequences});
        const TensorId sinks =
            scene_.sinks ? builder_.weight("sinks", DType::F32, {scene_.heads}, 53) : kNoTensor;
        AttentionParams params = scene_.params;
        params.scale = 1 / std::sqrt(static_cast<float>(scene_.width));
        params.page_size = static_cast<uint32_t>(scene_.page_size);
        params.kv_symbol = scene_.bounded ? 1 : RZ_NONE;
        builder_.output(builder_.attention(q_, k, v, inputs_, sinks, params), "out");
        Region region;
        RZ_ASSIGN(region.graph, std::move(builder_).build());
        region.steps = steps_for(1, scene_.tokens);
        for (size_t s = 0; s < region.steps.size(); ++s)
            fill(region.steps[s], s, random);
        return region;
    }

  private:
    std::pair<TensorId, TensorId> caches(int64_t cells) {
        if (!scene_.shared)
            return {
                builder_.state("k", types_.k, {cells, scene_.kv_heads, scene_.width}, 51),
                builder_.state("v", types_.v, {cells, scene_.kv_heads, scene_.value_width}, 52)};
        const int64_t keys = scene_.kv_heads * scene_.width;
        const int64_t values = scene_.kv_heads * scene_.value_width;
        const TensorId both = builder_.state("kv", types_.k, {cells, keys + values}, 51);
        return {builder_.split_inner(builder_.slice_inner(both, 0, keys), scene_.width),
                builder_.split_inner(builder_.slice_inner(both, keys, values), scene_.value_width)};
    }

    // Lengths: the longest, the shortest (0 and 1), and random ones, changing from step to step.
    void fill(Step &step, size_t number, Random &random) {
        const int64_t reach = scene_.page_size * scene_.pages;
        std::vector<int32_t> lengths = random_integers(random, scene_.sequences, 1, reach);
        lengths[number % lengths.size()] = static_cast<int32_t>(reach);
        if (lengths.size() > 1)
            lengths[(number + 1) % lengths.size()] = static_cast<int32_t>(number % 2);
        if (scene_.bounded) {
            const int64_t bound = std::max<int64_t>(1, reach / static_cast<int64_t>(number + 1));
            for (int32_t &length : lengths)
                length = static_cast<int32_t>(std::min<int64_t>(length, bound));
            step.symbols.push_back(bound);
        }
        step.integers[inputs_.pages] = page_table(number, random);
        std::vector<int32_t> &sequences = step.integers[inputs_.sequences];
        std::vector<int32_t> &positions = step.integers[inputs_.positions];
        sequences = random_integers(random, step.symbols[0], 0, scene_.sequences - 1);
        for (size_t t = 0; t < sequences.size(); ++t) {
            const int32_t length = lengths[static_cast<size_t>(sequences[t])];
            // Mostly the newest positions, as in decoding; sometimes any.
            positions.push_back(t % 3 == 2 ? static_cast<int32_t>(random.integer(0, reach - 1))
                                           : std::max(0, length - 1 - static_cast<int32_t>(t % 5)));
            if (t % 7 == 4) sequences[t] = -1; // padding
        }
        step.integers[inputs_.lengths] = std::move(lengths);
    }

    // Pages of all sequences in random order; two stay unused.
    std::vector<int32_t> page_table(size_t number, Random &random) {
        const int64_t count = scene_.sequences * scene_.pages;
        std::vector<int32_t> pages = random_permutation(random, count + 2);
        pages.resize(static_cast<size_t>(count));
        for (size_t i = 0; scene_.holes && i < pages.size(); ++i)
            if ((i + number) % 4 == 1) pages[i] = -1;
        return pages;
    }

    const Scene &scene_;
    Types types_;
    GraphBuilder builder_;
    TensorId q_ = kNoTensor;
    AttentionInputs inputs_;
};

} // namespace

void add_attention_cases(const Offer &offer, CaseList &cases) {
    constexpr Types kTypes[] = {
        {DType::F32, DType::F32},   {DType::F16, DType::F16},  {DType::Q8_0, DType::Q8_0},
        {DType::F16, DType::Q8_0},  {DType::Q8_0, DType::F16}, {DType::F32, DType::F16},
        {DType::Q4_0, DType::Q4_0}, {DType::Q4_0, DType::F16}, {DType::Q8_0, DType::Q4_0},
    };
    for (const Types types : kTypes) {
        const auto claimed = [&](DType dtype) {
            return offer.claims(RZ_OP_ATTENTION, static_cast<rz_dtype>(dtype));
        };
        if (!claimed(types.k) || !claimed(types.v)) continue;
        std::string type = dtype_info(types.k).name;
        if (types.k != types.v) type += std::string("+") + dtype_info(types.v).name;
        size_t i = 0;
        for (const Scene &scene : scenes()) {
            // Blocks of 32 elements: a head of 80 does not fit. Mixed types run every third scene.
            const bool fits = scene.width % 32 == 0 && scene.value_width % 32 == 0;
            const bool blocks =
                dtype_info(types.k).block_elements > 1 || dtype_info(types.v).block_elements > 1;
            const bool mixed = types.k != types.v;
            if ((blocks && !fits) || (mixed && (scene.shared || i++ % 3 != 2))) continue;
            add_operator_case(cases, "attention", type, scene.name,
                              [=](Random &random) { return Scenery(scene, types).make(random); });
        }
    }
}

} // namespace realizar::ctk
