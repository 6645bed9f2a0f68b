// What was measured, and where, as the documents of `realizar bench` say it.
#pragma once

#include "bench/record.h"
#include "tools/realizar/bench_run.h"

namespace realizar::cli {

// "model" of a document: {"name", "format", "quantization", "bytes", "sha256"}. The digest takes reading
// the whole file; without it that is null. Tag: open_failed.
Result<Json> model_json(const BenchOptions &options, const GgufFile &file, bool digest);

// Of the entries of this model (as model_json has it), loaded.
bench::Subject subject_of(const BenchOptions &options, const LoadedModel &loaded,
                          const Json &model);
bench::Subject peer_subject(bench::Subject subject, const std::string &name);

// "hardware" of a document: the machine, its GPUs with their drivers, the plugins and this build.
Json hardware_json(const Registry &registry);

} // namespace realizar::cli
