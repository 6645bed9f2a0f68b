#include "bench/record.h"

#include "bench/statistics.h"

#include <algorithm>
#include <ctime>

namespace realizar::bench {
namespace {

constexpr double kMegabyte = 1e6;

template <class T>
Json or_null(const std::optional<T> &value, double scale = 1) {
    return value ? Json(static_cast<double>(*value) * scale) : Json(nullptr);
}
Json or_null(const std::string &text) { return text.empty() ? Json(nullptr) : Json(text); }

Json interval_json(const Interval &interval) { return {interval.low, interval.high}; }

Json rate_json(const Measurement &m) {
    return {{"median", m.median()},
            {"min", m.min()},
            {"max", m.max()},
            {"mean", mean(m.samples)},
            {"ci_95", interval_json(median_interval(m.samples))},
            {"outliers", m.samples.size() - without_outliers(m.samples).size()},
            {"samples", m.samples}};
}

// What so few samples do not say is null.
Json several(const std::vector<double> &samples, size_t least, double value) {
    return samples.size() < least ? Json(nullptr) : Json(value);
}

Json sampling_json(const Measurement &m, const StopRule &rule) {
    const bool fixed = rule.least == rule.most;
    return {{"method", fixed ? "fixed" : "dynamic_cv"},
            {"cv_threshold", fixed ? Json(nullptr) : Json(rule.variation)},
            {"actual_iterations", m.samples.size()},
            {"cv_at_stop",
             several(m.samples, 2, coefficient_of_variation(without_outliers(m.samples)))},
            {"warmup_iterations", m.warm_ups},
            {"stopped_by", stop_name(m.stop)},
            {"drift", several(m.samples, 3, drift(m.samples))}};
}

Json thermal_json(const Measurement &m) {
    if (m.temperatures.empty())
        return {{"valid", false}, {"temp_variance_c", nullptr}, {"max_temp_c", nullptr}};
    const double deviation = standard_deviation(m.temperatures);
    return {{"valid", true},
            {"temp_variance_c", deviation * deviation},
            {"max_temp_c", std::ranges::max(m.temperatures)}};
}

// Prompts have a time to the first token, decoding has times between tokens.
Json first_token_json(const Measurement &m) {
    if (m.work.prompt == 0) return nullptr;
    return {{"p50", percentile(m.step_ms, 50)},
            {"p95", percentile(m.step_ms, 95)},
            {"p99", percentile(m.step_ms, 99)},
            {"p999", percentile(m.step_ms, 99.9)}};
}

Json between_tokens_json(const Measurement &m) {
    if (m.work.decode == 0) return nullptr;
    return {{"median", median(m.step_ms)},
            {"std_dev", standard_deviation(m.step_ms)},
            {"p50", percentile(m.step_ms, 50)},
            {"p95", percentile(m.step_ms, 95)},
            {"p99", percentile(m.step_ms, 99)}};
}

// Of the one load that came before the tests, or of those that are the test.
Json cold_start_json(const Subject &subject, const Measurement &m) {
    if (!m.work.is_load()) return {{"median", or_null(subject.load_ms)}, {"p99", nullptr}};
    return {{"median", median(m.step_ms)}, {"p99", percentile(m.step_ms, 99)}};
}

Json energy_json(const Measurement &m) {
    Json total = nullptr, each = nullptr;
    if (m.joules.value_or(0) > 0) { // drivers count every 20 ms or more: too short a run has none
        const size_t runs = std::max<size_t>(m.samples.size(), 1);
        total = *m.joules;
        each = *m.joules / static_cast<double>(m.work.tokens() * runs);
    }
    return {{"total_joules", total}, {"token_joules", each}, {"idle_watts", nullptr}};
}

Json metrics_json(const Subject &subject, const Measurement &m) {
    return {{"ttft_ms", first_token_json(m)},
            {"itl_ms", between_tokens_json(m)},
            {"throughput_tok_s",
             {{"median", m.median()}, {"ci_95", interval_json(median_interval(m.samples))}}},
            {"memory_mb",
             {{"model", or_null(subject.model_bytes, 1 / kMegabyte)},
              {"peak_rss", or_null(subject.peak_resident, 1 / kMegabyte)},
              {"device_peak", or_null(subject.device_peak, 1 / kMegabyte)},
              {"kv_waste_pct", nullptr}}},
            {"energy", energy_json(m)},
            {"cold_start_ms", cold_start_json(subject, m)}};
}

std::string utc_text(int64_t timestamp) {
    const auto seconds = static_cast<std::time_t>(timestamp);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

} // namespace

Json entry_json(const Subject &subject, const Measurement &m, const StopRule &rule) {
    return {{"backend", subject.backend},
            {"device", subject.device},
            {"driver", or_null(subject.driver)},
            {"test", m.work.label()},
            {"tok_s", rate_json(m)},
            {"config",
             {{"model", subject.model},
              {"format", subject.format},
              {"quantization", or_null(subject.quantization)},
              {"runtime", subject.runtime},
              {"runtime_version", or_null(subject.runtime_version)},
              {"threads", subject.threads},
              {"batch", subject.batch},
              {"context", subject.context},
              {"key_type", or_null(subject.key_type)},
              {"value_type", or_null(subject.value_type)}}},
            {"sampling", sampling_json(m, rule)},
            {"thermal", thermal_json(m)},
            {"metrics", metrics_json(subject, m)},
            {"quality", {{"kl_divergence_vs_fp32", nullptr}, {"perplexity_wikitext2", nullptr}}}};
}

Json roof_json(double step_bytes, const Measurement &measurement, const Measurement &memory) {
    const double gigabytes =
        step_bytes / 1e9 / measurement.work.sequences; // for each of its tokens
    std::vector<double> shares;
    for (size_t i = 0; i < std::min(measurement.samples.size(), memory.samples.size()); ++i)
        shares.push_back(measurement.samples[i] / memory.samples[i]);
    if (shares.empty()) return nullptr;
    return {{"step_mb", step_bytes / kMegabyte},
            {"gb_s", gigabytes * measurement.median()},
            {"memory_gb_s", gigabytes * memory.median()},
            {"share",
             {{"median", median(shares)},
              {"min", std::ranges::min(shares)},
              {"max", std::ranges::max(shares)}}}};
}

Json skipped_json(const std::string &backend, const std::string &device,
                  const std::string &reason) {
    return {{"backend", backend}, {"device", device}, {"skipped", reason}};
}

Json document_json(Json entries, Json environment, Json model, int64_t timestamp) {
    return {{"$schema", "bench-1.1.schema.json"}, {"version", "1.1"},
            {"timestamp", utc_text(timestamp)},   {"hardware", std::move(environment)},
            {"model", std::move(model)},          {"results", std::move(entries)}};
}

std::vector<double> samples_of(const Json &entry) {
    const Json *list = entry.is_object() && entry.contains("tok_s") ? &entry["tok_s"] : nullptr;
    if (!list || !list->is_object() || !list->contains("samples")) return {};
    std::vector<double> samples;
    for (const Json &value : (*list)["samples"])
        if (value.is_number() && value.get<double>() > 0) samples.push_back(value.get<double>());
    return samples;
}

std::optional<double> number(const Json &entry, std::initializer_list<const char *> path) {
    const Json *at = &entry;
    for (const char *name : path) {
        if (!at->is_object() || !at->contains(name)) return std::nullopt;
        at = &(*at)[name];
    }
    return at->is_number() ? std::optional(at->get<double>()) : std::nullopt;
}

std::string entry_key(const Json &document, const Json &entry) {
    const auto text = [](const Json &object, const char *name) -> std::string {
        return object.is_object() && object.contains(name) && object[name].is_string()
                   ? object[name].get<std::string>()
                   : std::string();
    };
    const Json model = document.value("model", Json::object());
    return text(model, "name") + " | " + text(entry, "backend") + " | " + text(entry, "device") +
           " | " + text(entry, "test");
}

} // namespace realizar::bench
