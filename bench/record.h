// The JSON document of a benchmark run, in the form of bench/schema/bench-1.1.schema.json.
#pragma once

#include "bench/environment.h"
#include "bench/workload.h"

#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

namespace realizar::bench {

// What an entry says beside its timings. Empty strings and nullopt become null.
struct Subject {
    std::string backend, device, driver; // of realizar; a peer has its name as backend
    std::string runtime, runtime_version;
    std::string model, format, quantization;
    uint32_t threads = 0, batch = 0, context = 0;
    std::string key_type, value_type;
    std::optional<double> load_ms;
    std::optional<uint64_t> model_bytes, peak_resident, device_peak;
};

// An entry of "results".
Json entry_json(const Subject &subject, const Measurement &measurement, const StopRule &rule);

// "roof" of an entry: what its decode steps of `step_bytes` read per second, as a share of what the memory
// contender did in the same repetitions.
Json roof_json(double step_bytes, const Measurement &measurement, const Measurement &memory);

// An entry for a backend that could not be measured.
Json skipped_json(const std::string &backend, const std::string &device, const std::string &reason);

// The document around entries. `timestamp` is in seconds since 1970, shown as UTC.
Json document_json(Json entries, Json environment, Json model, int64_t timestamp);

// The timings of an entry, or an empty list.
std::vector<double> samples_of(const Json &entry);
// The number at a path of an entry such as {"tok_s", "median"}; nullopt where there is none.
std::optional<double> number(const Json &entry, std::initializer_list<const char *> path);
// Name of what an entry measured, equal for entries that can be compared: model, backend, device, test.
std::string entry_key(const Json &document, const Json &entry);

// Reads a document back. Tags: open_failed, bad_json, not_a_benchmark.
Result<Json> read_document(const std::string &path);
// All documents of a history, oldest first; lines that are none are counted, not fatal.
struct History {
    std::vector<Json> documents;
    size_t damaged = 0;
};
Result<History> read_history(const std::string &path);
// Appends the document as one line, making folders as needed. Tag: write_failed.
Status append_history(const std::string &path, const Json &document);

} // namespace realizar::bench
