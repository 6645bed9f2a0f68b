#include "bench/contender.h"

#include "bench/peers/llama_cpp.h"
#include "core/engine/engine.h"

#include <algorithm>

namespace realizar::bench {
namespace {

class RealizarContender : public Contender {
  public:
    RealizarContender(std::shared_ptr<Engine> engine, std::string name)
        : engine_(std::move(engine)), name_(std::move(name)) {}
    ~RealizarContender() override { (void)clear(); } // the next user finds no sequences

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

} // namespace realizar::bench
