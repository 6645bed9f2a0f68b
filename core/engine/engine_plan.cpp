#include "core/engine/engine_plan.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace realizar {
namespace {

constexpr uint32_t kShort = 256;               // context of an answer that has just begun
constexpr double kAnswer = 128, kPrompt = 512; // tokens
constexpr uint32_t kPage = 64;

std::vector<std::byte> bytes_of(std::span<const int32_t> values) {
    std::vector<std::byte> bytes(values.size_bytes());
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
}

// Pages of the first sequence when it has `length` positions.
Status grow(ExpectedUse &use, uint32_t length) {
    for (uint32_t grown = 0; grown < length;) {
        grown = std::min(length, grown + kPage);
        RZ_TRY(use.pages.grow(0, grown));
        if (!use.window_pages) continue;
        if (grown > use.window + kPage) use.window_pages->forget(0, grown - use.window - kPage);
        RZ_TRY(use.window_pages->grow(0, grown));
    }
    return {};
}

// Rows [length - rows, length) of the first sequence.
StepSample make_sample(std::string name, size_t variant, const Graph &graph, ExpectedUse use,
                       uint32_t rows, uint32_t length) {
    StepSample sample{std::move(name), variant, {}, {}, 1};
    if (!grow(use, length).ok()) return sample;
    std::vector<int32_t> tokens, positions, sequences(rows, 0), cells, window_cells;
    for (uint32_t i = 0; i < rows; ++i) {
        const uint32_t position = length - rows + i;
        tokens.push_back(static_cast<int32_t>((i * 7919ull + 13) % use.vocabulary));
        positions.push_back(static_cast<int32_t>(position));
        cells.push_back(use.pages.cell(0, position));
        // A page that is forgotten within the batch: its rows are not written.
        if (use.window_pages)
            window_cells.push_back(
                position < use.window_pages->first(0) ? -1 : use.window_pages->cell(0, position));
    }
    const std::vector<int32_t> last = {static_cast<int32_t>(rows - 1)};
    const auto give = [&](const char *input, std::span<const int32_t> values) {
        const TensorId id = graph.find(input);
        if (id != kNoTensor) sample.inputs.emplace_back(id, bytes_of(values));
    };
    give(kInputTokens, tokens);
    give(kInputPositions, positions);
    give(kInputSequences, sequences);
    give(kInputCells, cells);
    give(kInputPages, use.pages.table());
    give(kInputLengths, use.pages.lengths());
    give(kInputLogitRows, last);
    if (use.window_pages) {
        give(kInputWindowCells, window_cells);
        give(kInputWindowPages, use.window_pages->table());
    }
    sample.symbols = {rows, 1, length};
    return sample;
}

} // namespace

std::vector<StepSample> expected_steps(std::span<const Graph> variants, const ExpectedUse &use) {
    std::vector<StepSample> samples;
    const uint32_t brief = std::min(kShort, use.context);
    samples.push_back(
        make_sample("token at " + std::to_string(brief), 0, variants[0], use, 1, brief));
    samples.back().weight = kAnswer;
    if (use.context > 2 * kShort) { // most answers end long before the context does
        samples.push_back(make_sample("token at " + std::to_string(use.context), 0, variants[0],
                                      use, 1, use.context));
        samples[0].weight = kAnswer * 7 / 8;
        samples[1].weight = kAnswer / 8;
    }
    if (variants.size() > 1) {
        const auto most = static_cast<uint32_t>(variants[1].symbols()[kSymbolTokens].max);
        const uint32_t rows = std::min(most, use.context);
        samples.push_back(
            make_sample("prompt of " + std::to_string(rows), 1, variants[1], use, rows, rows));
        samples.back().weight = std::max(1.0, kPrompt / rows);
    }
    std::erase_if(samples, [](const StepSample &sample) { return sample.symbols.empty(); });
    return samples;
}

} // namespace realizar
