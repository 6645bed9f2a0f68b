#include "bench/contender.h"
#include "bench/memory_reader.h"
#include "bench/step_bytes.h"
#include "core/engine/engine.h"

#include <algorithm>

namespace realizar::bench {
namespace {

class MemoryContender : public Contender {
  public:
    MemoryContender(const Engine &engine, std::unique_ptr<MemoryReader> reader)
        : vocabulary_(engine.config().vocabulary), bytes_(engine), reader_(std::move(reader)) {
        constexpr int kRounds = 5;
        const std::vector<double> rates = reader_->rates(kRounds);
        form_ = static_cast<size_t>(std::ranges::max_element(rates) - rates.begin());
    }

    std::string name() const override { return "memory"; }
    uint32_t vocabulary() const override { return vocabulary_; }
    Status clear() override { return {}; }
    bool cut(uint32_t) override { return true; }
    Status prompt(std::span<const int32_t>) override { return {}; }
    Status decode(std::span<const int32_t> tokens, uint32_t position) override {
        reader_->read(form_, bytes_.of(static_cast<uint32_t>(tokens.size()), position));
        return {};
    }

  private:
    uint32_t vocabulary_;
    StepBytes bytes_;
    std::unique_ptr<MemoryReader> reader_;
    size_t form_ = 0;
};

} // namespace

Result<std::unique_ptr<Contender>> memory_contender(const Engine &engine, unsigned threads) {
    auto reader = std::make_unique<MemoryReader>(threads);
    if (!reader->ready())
        return make_error(Code::out_of_memory, "out_of_memory",
                          "no memory to read from, for %u threads", threads);
    return std::unique_ptr<Contender>(std::make_unique<MemoryContender>(engine, std::move(reader)));
}

} // namespace realizar::bench
