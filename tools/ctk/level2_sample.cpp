// SAMPLE: rows as TOP_K makes them, with draws that no rounding brings to another token.
#include "tools/ctk/level2.h"

#include "core/reference/reference.h"

#include <algorithm>
#include <array>
#include <limits>

namespace realizar::ctk {
namespace {

constexpr size_t kDraw = 5;
using Draw = std::array<float, kDraw>; // temperature, top_k, top_p, min_p, uniform

struct Sampling {
    GraphBuilder builder;
    TensorId logits, tokens, draws;

    Sampling(int64_t rows_max, int64_t width) {
        const int64_t rows = builder.symbol(1, rows_max, 1);
        logits = builder.input("logits", DType::F32, {rows, width});
        tokens = builder.input("tokens", DType::I32, {rows, width});
        draws = builder.input("draws", DType::F32, {rows, static_cast<int64_t>(kDraw)});
        builder.output(builder.sample(logits, tokens, draws), "chosen");
    }
};

Draw random_draw(Random &random, int64_t width) {
    const auto one_of = [&](std::initializer_list<float> values) {
        return values.begin()[random.integer(0, static_cast<int64_t>(values.size()) - 1)];
    };
    const auto part = [&] { return static_cast<float>(random.integer(0, 9999)) / 10000; };
    return {one_of({0, -1, 0.3f, 1, 1, 2.5f}),
            one_of({0, 1, 3, static_cast<float>(width), static_cast<float>(width / 2), 1e6f}),
            one_of({1, 1, 0, part(), part()}), one_of({0, 0, 1, part() / 4}), part()};
}

// What the reference chooses from one row with each of these draws.
Result<std::vector<double>> choices(const std::vector<float> &logits,
                                    const std::vector<int32_t> &tokens,
                                    const std::vector<Draw> &draws) {
    const auto rows = static_cast<int64_t>(draws.size());
    const auto width = static_cast<int64_t>(logits.size());
    Sampling sampling(rows, width);
    RZ_ASSIGN(const Graph graph, std::move(sampling.builder).build());
    std::vector<RefValue> values(graph.tensors().size());
    values[sampling.logits].dims = values[sampling.tokens].dims = {rows, width};
    values[sampling.draws].dims = {rows, static_cast<int64_t>(kDraw)};
    for (const Draw &draw : draws) {
        auto &x = values[sampling.logits].data, &t = values[sampling.tokens].data;
        x.insert(x.end(), logits.begin(), logits.end());
        t.insert(t.end(), tokens.begin(), tokens.end());
        auto &d = values[sampling.draws].data;
        d.insert(d.end(), draw.begin(), draw.end());
    }
    RZ_TRY(ref_run(graph.view(), std::array{rows}, values));
    return values[graph.outputs()[0]].data;
}

// Sums in F32 are off by less than this; draws closer to a border are left out.
constexpr float kMargin = 1e-4f;

Result<bool> far_from_borders(const std::vector<float> &logits, const std::vector<int32_t> &tokens,
                              const Draw &draw) {
    std::vector<Draw> draws = {draw};
    for (const float sign : {-1.0f, 1.0f}) {
        Draw other = draw;
        if (draw[2] < 1) other[2] = std::max(0.0f, draw[2] + sign * kMargin);
        draws.push_back(other);
        other[3] = std::min(1.0f, draw[3] * (1 + sign * kMargin));
        draws.push_back(other);
        other[4] = std::clamp(draw[4] + sign * kMargin, 0.0f, 0.99999f);
        draws.push_back(other);
        other[3] = draw[3];
        draws.push_back(other);
    }
    RZ_ASSIGN(const auto chosen, choices(logits, tokens, draws));
    return std::ranges::all_of(chosen, [&](double token) { return token == chosen[0]; });
}

std::vector<float> falling(Random &random, int64_t width, bool ties) {
    std::vector<float> row;
    for (int64_t i = 0; i < width; ++i)
        row.push_back(ties ? static_cast<float>(random.integer(-2, 2))
                           : static_cast<float>(random.integer(-90000, 90000)) / 20000);
    std::ranges::sort(row, std::greater());
    return row;
}

Result<Region> sampling(int64_t rows_max, int64_t width, bool ties, Random &random) {
    Sampling made(rows_max, width);
    Region region;
    RZ_ASSIGN(region.graph, std::move(made.builder).build());
    region.steps = steps_for(1, rows_max);
    for (Step &step : region.steps)
        for (int64_t r = 0; r < step.symbols[0]; ++r) {
            const auto row = falling(random, width, ties);
            auto tokens = random_permutation(random, width);
            for (int32_t &token : tokens)
                token = token * 7 + 3;
            Draw draw{};
            for (bool good = false; !good;) {
                draw = random_draw(random, width);
                RZ_ASSIGN(good, far_from_borders(row, tokens, draw));
            }
            auto &x = step.numbers[made.logits], &d = step.numbers[made.draws];
            x.insert(x.end(), row.begin(), row.end());
            d.insert(d.end(), draw.begin(), draw.end());
            auto &t = step.integers[made.tokens];
            t.insert(t.end(), tokens.begin(), tokens.end());
        }
    return region;
}

// Nothing to choose from, infinities, NaN at the end.
Result<Region> strange() {
    constexpr float kInf = std::numeric_limits<float>::infinity();
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    constexpr int64_t kRows = 5, kWidth = 4;
    Sampling made(kRows, kWidth);
    Region region;
    RZ_ASSIGN(region.graph, std::move(made.builder).build());
    Step step;
    step.symbols = {kRows};
    step.numbers[made.logits] = {-kInf, -kInf, -kInf, kNan, kNan,  kNan, kNan, kNan,  kInf, 2,
                                 1,     0,     kInf,  kInf, -kInf, kNan, 3,    -kInf, kNan, kNan};
    for (int32_t i = 0; i < kRows * kWidth; ++i)
        step.integers[made.tokens].push_back(100 - i);
    for (int64_t r = 0; r < kRows; ++r)
        for (const float value : {0.7f, 0.0f, 0.9f, 0.0f, 0.75f})
            step.numbers[made.draws].push_back(value);
    region.steps.push_back(std::move(step));
    return region;
}

} // namespace

void add_sample_cases(const Offer &offer, CaseList &cases) {
    if (!offer.claims(RZ_OP_SAMPLE, RZ_DTYPE_F32)) return;
    for (const int64_t width : {1, 2, 7, 40, 64, 257, 1024})
        for (const bool ties : {false, true})
            add_operator_case(cases, "sample", "F32", std::to_string(width) + (ties ? "_ties" : ""),
                              [=](Random &random) { return sampling(9, width, ties, random); });
    add_operator_case(cases, "sample", "F32", "strange", [](Random &) { return strange(); });
}

} // namespace realizar::ctk
