// The subcommands. Each add_* declares options and, when its subcommand was chosen, sets what main()
// then runs; errors come back to one place.
#pragma once

#include "core/common/result.h"

#include <CLI/CLI.hpp>

#include <functional>

namespace realizar::cli {

using Action = std::function<Status()>;

void add_run(CLI::App &app, Action &action);
void add_plugins(CLI::App &app, Action &action);
void add_info(CLI::App &app, Action &action);
void add_tokenize(CLI::App &app, Action &action);
void add_logits(CLI::App &app, Action &action);
void add_perplexity(CLI::App &app, Action &action);
void add_quantize(CLI::App &app, Action &action);
void add_imatrix(CLI::App &app, Action &action);
void add_convert(CLI::App &app, Action &action);
void add_split(CLI::App &app, Action &action);
void add_bench(CLI::App &app, Action &action);
void add_plan(CLI::App &app, Action &action);

} // namespace realizar::cli
