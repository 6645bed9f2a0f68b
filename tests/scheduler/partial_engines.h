// Engines of the small story model on backends that fail as told.
#pragma once

#include "core/engine/generate.h"
#include "tests/scheduler/partial_backend.h"
#include "tests/support/engines.h"

namespace realizar::test {

class PartialEngines : public testing::Test {
  protected:
    void SetUp() override {
        reset();
        RZ_ASSERT_OK(partial_, PartialBackend::open(host_));
        RZ_ASSERT_OK(second_, SecondBackend::open(host_));
        RZ_ASSERT_OK(DeviceChoice choice, backends().choose({"reference", "", true}));
        reference_ = choice.devices.front();
        RZ_ASSERT_OK(file_, GgufFile::open(draft_model()));
    }
    void TearDown() override { reset(); }
    static void reset() {
        PartialBackend::reset();
        SecondBackend::reset();
    }

    // What is said of lost devices goes to notices_.
    EngineOptions options(std::vector<DevicePtr> devices, uint32_t batch = 8) {
        EngineOptions engine;
        engine.devices = std::move(devices);
        engine.context = 64;
        engine.batch = batch;
        engine.notice = [this](const std::string &text) { notices_.push_back(text); };
        engine.placement.seconds = 3600; // however slow this build is: all is measured
        return engine;
    }
    // Greedy, without an end, after the first `rows` tokens of a prompt of more than nine.
    static GenerateOptions greedy(size_t tokens) {
        GenerateOptions generation;
        generation.sampling.temperature = 0;
        generation.max_tokens = tokens;
        generation.ignore_end = true;
        return generation;
    }
    static Result<std::vector<Token>> tell(const std::shared_ptr<Engine> &engine, size_t rows,
                                           const GenerateOptions &generation) {
        RZ_ASSIGN(const auto session, Session::create(engine));
        RZ_ASSIGN(const auto prompt, prompt_tokens(*engine->tokenizer(),
                                                   "Once upon a time there was a small fox who"));
        RZ_ASSIGN(
            const Generation answer,
            generate(*session, std::span(prompt).first(std::min(rows, prompt.size())), generation));
        return answer.tokens;
    }

    Host host_{{}};
    DevicePtr partial_, second_, reference_;
    std::shared_ptr<const GgufFile> file_;
    std::vector<std::string> notices_;
};

} // namespace realizar::test
