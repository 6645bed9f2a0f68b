#include "bench/workload.h"

#include "bench/peers/llama_cpp.h"
#include "core/engine/engine.h"

#include <algorithm>
#include <chrono>

namespace realizar::bench {
namespace {

class RealizarContender : public Contender {
  public:
    RealizarContender(std::shared_ptr<Engine> engine, std::string name)
        : engine_(std::move(engine)), name_(std::move(name)) {}

    std::string name() const override { return name_; }
    uint32_t vocabulary() const override { return engine_->config().vocabulary; }

    Status clear() override {
        for (uint32_t i = 0; i < used_; ++i)
            engine_->cut(i, 0);
        used_ = filled_ = 0;
        return {};
    }

    bool cut(uint32_t length) override {
        for (uint32_t i = 1; i < used_; ++i)
            engine_->cut(i, 0);
        used_ = 1;
        filled_ = length;
        return engine_->cut(0, length) == length;
    }

    Status prompt(std::span<const int32_t> tokens) override {
        used_ = std::max(used_, 1u);
        logits_.resize(vocabulary());
        for (size_t begin = 0; begin < tokens.size(); begin += engine_->batch()) {
            const size_t count = std::min<size_t>(engine_->batch(), tokens.size() - begin);
            const bool last = begin + count == tokens.size();
            rows_.clear();
            for (size_t i = 0; i < count; ++i)
                rows_.push_back({tokens[begin + i], filled_++, 0, last && i + 1 == count});
            RZ_TRY(engine_->run(rows_, last ? std::span(logits_) : std::span<float>()));
        }
        return {};
    }

    Status decode(std::span<const int32_t> tokens, uint32_t position) override {
        const auto count = static_cast<uint32_t>(tokens.size());
        used_ = std::max(used_, count);
        filled_ = position + 1;
        logits_.resize(size_t{count} * vocabulary());
        rows_.clear();
        for (uint32_t i = 0; i < count; ++i)
            rows_.push_back({tokens[i], position, i, true});
        return engine_->run(rows_, logits_);
    }

  private:
    std::shared_ptr<Engine> engine_;
    std::string name_;
    uint32_t used_ = 0, filled_ = 0; // sequences; positions of sequence 0
    std::vector<BatchRow> rows_;
    std::vector<float> logits_;
};

class LlamaCppContender : public Contender {
  public:
    explicit LlamaCppContender(std::unique_ptr<LlamaCpp> peer) : peer_(std::move(peer)) {}
    std::string name() const override { return "llama.cpp"; }
    uint32_t vocabulary() const override { return peer_->vocabulary(); }
    Status clear() override {
        peer_->clear();
        return {};
    }
    bool cut(uint32_t length) override { return peer_->cut(length); }
    Status prompt(std::span<const int32_t> tokens) override { return peer_->prompt(tokens); }
    Status decode(std::span<const int32_t> tokens, uint32_t position) override {
        return peer_->decode(tokens, static_cast<int32_t>(position));
    }

  private:
    std::unique_ptr<LlamaCpp> peer_;
};

// Tokens that differ from each other, the same for all contenders. Their values do not matter for
// speed; id 0 to 9 are left out because they are often special.
std::vector<int32_t> make_tokens(uint32_t count, uint32_t vocabulary) {
    std::vector<int32_t> tokens(count);
    uint32_t state = 12345;
    for (int32_t &token : tokens) {
        state = state * 1664525u + 1013904223u; // Numerical Recipes' linear congruential generator
        token = static_cast<int32_t>(10 + (state >> 8) % (vocabulary - 10));
    }
    return tokens;
}

// Leaves exactly the context of the workload in the contender.
Status set_up(Contender &contender, const Workload &work, std::span<const int32_t> tokens,
              bool first) {
    if (!first && work.depth > 0 && contender.cut(work.depth)) return {};
    RZ_TRY(contender.clear());
    return work.depth > 0 ? contender.prompt(tokens.first(work.depth)) : Status();
}

Result<double> time_once(Contender &contender, const Workload &work, bool first) {
    using Clock = std::chrono::steady_clock;
    const auto tokens = make_tokens(
        std::max(work.depth + work.prompt, work.sequences + work.decode), contender.vocabulary());
    RZ_TRY(set_up(contender, work, tokens, first));
    const auto start = Clock::now();
    if (work.prompt > 0)
        RZ_TRY(contender.prompt(std::span(tokens).subspan(work.depth, work.prompt)));
    for (uint32_t i = 0; i < work.decode; ++i)
        RZ_TRY(contender.decode(std::span(tokens).subspan(i, work.sequences), work.depth + i));
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    return (work.prompt + double{1} * work.decode * work.sequences) / seconds;
}

} // namespace

std::unique_ptr<Contender> realizar_contender(std::shared_ptr<Engine> engine, std::string name) {
    return std::make_unique<RealizarContender>(std::move(engine), std::move(name));
}

Result<std::unique_ptr<Contender>> llama_cpp_contender(const std::string &libraries,
                                                       const std::string &model, int threads,
                                                       uint32_t context, uint32_t sequences,
                                                       int gpu_layers) {
    LlamaCppOptions options;
    options.libraries = libraries;
    options.model = model;
    options.threads = threads;
    options.context = context;
    options.sequences = sequences;
    options.gpu_layers = gpu_layers;
    RZ_ASSIGN(auto peer, LlamaCpp::load(options));
    return std::unique_ptr<Contender>(std::make_unique<LlamaCppContender>(std::move(peer)));
}

std::string Workload::label() const {
    std::string text = prompt > 0 ? "pp" + std::to_string(prompt) : "tg" + std::to_string(decode);
    if (sequences > 1) text += "x" + std::to_string(sequences);
    if (depth > 0) text += "@d" + std::to_string(depth);
    return text;
}

double Measurement::median() const {
    std::vector<double> sorted = samples;
    std::ranges::sort(sorted);
    const size_t n = sorted.size();
    return n == 0 ? 0 : (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}
double Measurement::min() const { return samples.empty() ? 0 : std::ranges::min(samples); }
double Measurement::max() const { return samples.empty() ? 0 : std::ranges::max(samples); }

Result<std::vector<Measurement>> measure(std::span<const std::unique_ptr<Contender>> contenders,
                                         std::span<const Workload> workloads, uint32_t repetitions,
                                         const std::function<bool(const std::string &)> &progress) {
    std::vector<Measurement> all;
    for (const Workload &work : workloads) {
        std::vector<Measurement> rows;
        for (const auto &contender : contenders)
            rows.push_back({contender->name(), work.label(), {}});
        for (uint32_t repetition = 0; repetition <= repetitions; ++repetition) {
            for (size_t i = 0; i < contenders.size(); ++i) {
                if (progress && !progress(work.label() + " " + rows[i].contender))
                    return make_error(Code::cancelled, "cancelled", "the benchmark was cancelled");
                RZ_ASSIGN(const double rate, time_once(*contenders[i], work, repetition == 0));
                if (repetition > 0) rows[i].samples.push_back(rate); // the first one warms up
            }
        }
        all.insert(all.end(), rows.begin(), rows.end());
    }
    return all;
}

} // namespace realizar::bench
