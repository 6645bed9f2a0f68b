// Options that several subcommands share, and what they stand for: a model on devices.
#pragma once

#include "core/engine/engine.h"
#include "core/scheduler/backends.h"
#include "tools/realizar/console.h"

#include <CLI/CLI.hpp>

#include <memory>
#include <string>
#include <vector>

namespace realizar::cli {

struct BackendOptions {
    DeviceRequest device;
    std::vector<std::string> plugin_path; // instead of the default folders
    uint32_t threads = 0;
    bool verbose = false;
};

struct ModelOptions : BackendOptions {
    std::string model; // empty: the built-in one
    uint32_t context = 0;
    uint32_t sinks = 0;                    // not an option of its own: EngineOptions::sinks
    std::optional<uint32_t> batch, ubatch; // rows per step: the smaller one counts
    std::string key_type = "f16", value_type = "f16";
    bool check_tensors = false;
    std::vector<std::string> device_memory; // [ID=]SIZE
    std::shared_ptr<StepObserver> observer; // not an option: what a command wants to see
};

void add_plugin_path_option(CLI::App &command, BackendOptions &options);
void add_threads_option(CLI::App &command, BackendOptions &options);
void add_verbose_option(CLI::App &command, BackendOptions &options);
void add_model_option(CLI::App &command, std::string &model);
// -m, backend, device, threads, context, batch, cache types, checks and --verbose.
void add_engine_options(CLI::App &command, ModelOptions &options);

// Backends whose work a signal cancels (Interrupt) for as long as they are there.
struct CloseBackends {
    void operator()(Backends *backends) const;
};
using OpenBackends = std::unique_ptr<Backends, CloseBackends>;
Result<OpenBackends> open_backends(const BackendOptions &options);

// The file at the path, or the built-in model if that is empty.
Result<std::shared_ptr<const GgufFile>> open_model(const std::string &path);

// A model ready to run. The engine dies before the backends.
struct LoadedModel {
    OpenBackends backends;
    std::shared_ptr<Engine> engine;
    double load_ms = 0;
};

// Loads with a progress bar; Ctrl-C cancels. Up to `logit_rows` rows of a step may have logits.
Result<LoadedModel> load_model(const ModelOptions &options, uint32_t logit_rows = 1,
                               uint32_t sequences = 1);

// Where the model would run.
struct PlannedModel {
    OpenBackends backends;
    ModelPlan plan;
};
Result<PlannedModel> plan_model(const ModelOptions &options);

// [{"device": "cpu:0", "nodes": [first, last], "reason": "..."}, ...]
Json placement_json(const Runner &runner);

// A whole file, or standard input for "-". Tags: open_failed, read_failed, text_too_long.
Result<std::string> read_text(const std::string &path);

} // namespace realizar::cli
