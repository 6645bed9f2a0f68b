// GPU-006 to 008, 010, 016 to 020 and 025: whole models.
#include "bench/statistics.h"
#include "bench/suites/cases.h"
#include "core/engine/generate.h"

#include <algorithm>

#include <fcntl.h>
#include <unistd.h>

namespace realizar::bench {
namespace {

constexpr const char *kPrompt = "Once upon a time there was a small fox who lived";

std::string model_note(const Bed &bed) {
    return format_text("%.2fB parameters", bed.parameters() / 1e9);
}

// Checks of 7B models say nothing about others.
Status need_7b(const Bed &bed) {
    constexpr double kLeast = 6e9, kMost = 9e9;
    if (bed.parameters() >= kLeast && bed.parameters() <= kMost) return {};
    return missing(format_text("needs a model of about 7B parameters with -m, found %.2fB",
                               bed.parameters() / 1e9));
}

Result<Finding> decode_rate(Bed &bed) {
    RZ_ASSIGN(const Measurement decode, run_model(bed, bed.gpu, {0, 64, 0, 1}));
    return Finding{decode.median(), model_note(bed)};
}

Result<Finding> decode_rate_7b(Bed &bed) {
    RZ_TRY(need_7b(bed));
    return decode_rate(bed);
}

// On a device that is given no more than the target, as `--device-memory` does.
Result<Finding> memory_7b(Bed &bed) {
    constexpr uint64_t kGiven = 8'000'000'000;
    RZ_TRY(need_7b(bed));
    bed.release(); // what other checks hold does not count
    EngineOptions options = bed.options(bed.gpu, 2048);
    options.placement.memory = {kGiven};
    RZ_ASSIGN(auto engine, Engine::load(bed.file, options));
    const auto contender = realizar_contender(std::move(engine), "realizar");
    RZ_TRY(contender->prompt(std::vector<int32_t>(512, 11)));
    RZ_ASSIGN(const rz_counters counters, bed.gpu->counters());
    if (counters.memory_used == 0) return missing("the plugin does not count its memory");
    return Finding{
        static_cast<double>(counters.memory_used) / 1e9,
        "what the plugin holds after a prompt of 512, given 8 GB: weights, and a cache of "
        "2048; " +
            model_note(bed)};
}

Result<Finding> sustained(Bed &bed) {
    constexpr uint32_t kRuns = 5, kTokens = 256;
    RZ_ASSIGN(const Measurement runs, run_model(bed, bed.gpu, {0, kTokens, 0, 1}, kRuns));
    return Finding{runs.min(), format_text("slowest of 5 answers of 256 tokens; drift %.1f %%; %s",
                                           100 * drift(runs.samples), model_note(bed).c_str())};
}

Result<Finding> load_time(Bed &bed) {
    bed.release();
    const EngineOptions options = bed.options(bed.gpu, 512);
    if (const int file = bed.path.empty() ? -1 : ::open(bed.path.c_str(), O_RDONLY | O_CLOEXEC);
        file >= 0) {
        (void)::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        ::close(file);
    }
    const auto load = [&]() -> Status {
        auto file = bed.file;
        if (!bed.path.empty()) { // the built-in model is in memory
            RZ_ASSIGN(file, GgufFile::open(bed.path));
        }
        RZ_ASSIGN(auto engine, Engine::load(std::move(file), options));
        // What is put off until it is needed belongs to loading too.
        const std::vector<int32_t> token = {11};
        return realizar_contender(std::move(engine), "realizar")->decode(token, 0);
    };
    double seconds[2] = {};
    for (double &one : seconds) {
        RZ_ASSIGN(one, seconds_of(load));
    }
    return Finding{
        seconds[0] * 1e3,
        format_text("until the first token is there; file dropped from memory before, as far "
                    "as the system does; again %.0f ms; %s",
                    seconds[1] * 1e3, model_note(bed).c_str())};
}

Result<Generation> answer(Bed &bed, uint32_t tokens, uint32_t per_submission) {
    RZ_ASSIGN(const auto engine, bed.engine(bed.gpu, 512));
    RZ_ASSIGN(const auto session, Session::create(engine));
    RZ_ASSIGN(const auto prompt, prompt_tokens(*engine->tokenizer(), kPrompt));
    GenerateOptions options;
    options.sampling.temperature = 0;
    options.max_tokens = tokens;
    options.ignore_end = true;
    options.tokens_per_submission = per_submission;
    return generate(*session, prompt, options);
}

Result<Finding> end_to_end(Bed &bed) {
    constexpr uint32_t kTokens = 64;
    size_t bytes = 0;
    const auto run = [&]() -> Status {
        RZ_ASSIGN(const Generation text, answer(bed, kTokens, 0));
        bytes = text.text.size();
        return {};
    };
    RZ_ASSIGN(const double seconds, median_seconds(2 * bed.seconds, run));
    return Finding{kTokens / seconds,
                   format_text("text to text: tokenizer, prompt, 64 tokens, %zu bytes; %s", bytes,
                               model_note(bed).c_str())};
}

Result<Finding> against_peer(Bed &bed) {
    if (!bed.peer) return missing("needs a peer: --peer-llama-cpp FOLDER and a model with -m");
    const Workload work{0, 64, 0, 1};
    RZ_ASSIGN(const auto engine, bed.engine(bed.gpu, 512));
    RZ_ASSIGN(auto peer, bed.peer(bed.gpu, 512));
    std::vector<std::unique_ptr<Contender>> both;
    both.push_back(realizar_contender(engine, "realizar"));
    both.push_back(std::move(peer));
    StopRule rule;
    rule.least = rule.most = 5;
    rule.budget_s = 0;
    RZ_ASSIGN(const auto rows, measure(both, {&work, 1}, rule, {}));
    return Finding{100 * rows[0].median() / rows[1].median(),
                   format_text("%.1f and %.1f tok/s in turns on the same file; %s",
                               rows[0].median(), rows[1].median(), model_note(bed).c_str())};
}

// Seconds of `decode` tokens behind `prompt`, each with everything before it evaluated anew or not.
Result<double> time_answer(Bed &bed, uint32_t prompt, uint32_t decode, bool cached) {
    RZ_ASSIGN(const auto engine, bed.engine(bed.gpu, 512));
    const auto runner = realizar_contender(engine, "realizar");
    std::vector<int32_t> tokens;
    for (uint32_t i = 0; i < prompt + decode; ++i)
        tokens.push_back(static_cast<int32_t>(10 + i * 37 % (runner->vocabulary() - 10)));
    const std::span<const int32_t> all(tokens);
    return median_seconds(bed.seconds, [&]() -> Status {
        RZ_TRY(runner->clear());
        RZ_TRY(runner->prompt(all.first(prompt)));
        for (uint32_t i = prompt; i < prompt + decode; ++i) {
            if (!cached) RZ_TRY(runner->clear());
            RZ_TRY(cached ? runner->decode(all.subspan(i, 1), i)
                          : runner->prompt(all.first(i + 1)));
        }
        return {};
    });
}

Result<Finding> cached_decode(Bed &bed) {
    const auto ratio = [&](uint32_t prompt, uint32_t decode) -> Result<double> {
        RZ_ASSIGN(const double naive, time_answer(bed, prompt, decode, false));
        RZ_ASSIGN(const double cached, time_answer(bed, prompt, decode, true));
        return naive / cached;
    };
    RZ_ASSIGN(const double brief, ratio(8, 24));
    RZ_ASSIGN(const double usual, ratio(16, 48));
    RZ_ASSIGN(const double longer, ratio(32, 96));
    return Finding{usual, format_text("16 + 48 tokens; 8 + 24: %.2f, 32 + 96: %.2f; %s", brief,
                                      longer, model_note(bed).c_str())};
}

Result<Finding> chosen_on_device(Bed &bed) {
    constexpr uint32_t kTokens = 64, kAhead = 8;
    std::vector<Token> host, device;
    const auto time = [&](uint32_t ahead, std::vector<Token> &tokens) {
        return median_seconds(bed.seconds, [&, ahead]() -> Status {
            RZ_ASSIGN(Generation text, answer(bed, kTokens, ahead));
            tokens = std::move(text.tokens);
            return {};
        });
    };
    RZ_ASSIGN(const double by_host, time(0, host));
    RZ_ASSIGN(const double by_device, time(kAhead, device));
    const auto same = std::ranges::mismatch(host, device).in1 - host.begin();
    return Finding{by_host / by_device,
                   format_text("tokens chosen by the device, 8 a submission, against logits on the "
                               "host; %zu of 64 tokens are the same",
                               static_cast<size_t>(same))};
}

Result<Finding> allocations(Bed &bed) {
    constexpr uint32_t kTokens = 64;
    RZ_ASSIGN(const auto engine, bed.engine(bed.gpu, 512));
    const auto runner = realizar_contender(engine, "realizar");
    RZ_TRY(runner->clear());
    const std::vector<int32_t> token = {11};
    constexpr uint32_t kWarm = 4;
    rz_counters before{};
    for (uint32_t i = 0; i < kWarm + kTokens; ++i) {
        if (i == kWarm) {
            RZ_ASSIGN(before, bed.gpu->counters());
        }
        RZ_TRY(runner->decode(token, i));
    }
    RZ_ASSIGN(const rz_counters after, bed.gpu->counters());
    if (after.allocations == 0) return missing("the plugin does not count allocations");
    return Finding{static_cast<double>(after.allocations - before.allocations) / kTokens,
                   format_text("%llu before the first token",
                               static_cast<unsigned long long>(before.allocations))};
}

constexpr Check kChecks[] = {
    {"GPU-006", "tokens one by one", "tok/s", 128, 10, true, Needs::gpu, decode_rate},
    {"GPU-007", "tokens one by one, 7B", "tok/s", 50, 5, true, Needs::gpu, decode_rate_7b},
    {"GPU-008", "device memory of a 7B model", "GB", 8, 8, false, Needs::gpu, memory_7b},
    {"GPU-010", "five answers, the slowest", "tok/s", 205, 50, true, Needs::gpu, sustained},
    {"GPU-016", "loading of the model's file", "ms", 5000, 5000, false, Needs::gpu, load_time},
    {"GPU-017", "text to text", "tok/s", 10, 10, true, Needs::gpu, end_to_end},
    {"GPU-018", "decoding against llama.cpp", "%", 80, 15, true, Needs::gpu, against_peer},
    {"GPU-019", "cache against evaluating anew", "x", 4, 1, true, Needs::gpu, cached_decode},
    {"GPU-020", "device against host as chooser", "x", 0.9, 0.9, true, Needs::gpu,
     chosen_on_device},
    {"GPU-025", "allocations for a token", "1/token", 0, 0, false, Needs::gpu, allocations},
};

} // namespace

std::span<const Check> parity_models() { return kChecks; }

} // namespace realizar::bench
