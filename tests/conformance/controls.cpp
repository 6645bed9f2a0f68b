// Negative controls: for every way in which tests/conformance/bad can be wrong, the test of the kit
// that is meant for it must say so.
#include "tools/ctk/kit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

namespace realizar::ctk {
namespace {

constexpr Verdict kAny = Verdict::pass; // any bad verdict will do

struct Control {
    const char *name; // of the plugin
    const char *test; // a test whose name begins so must catch it
    Verdict verdict;
};

constexpr Control kControls[] = {
    {"old_version", "L0/file/note", Verdict::fail},
    {"future_version", "L0/file/note", Verdict::fail},
    {"other_hash", "L0/file/note", Verdict::fail},
    {"no_note", "L0/file/note", Verdict::fail},
    {"extra_export", "L0/file/one-export", Verdict::fail},
    {"reads_past_hello", "L0/entry/short-hello", Verdict::crash},
    {"ignores_hash", "L0/entry/refuses-other-hash", Verdict::fail},
    {"ignores_hello_flags", "L0/entry/required-flag", Verdict::fail},
    {"entry_prints", "L0/file/loads-quietly", Verdict::fail},
    {"entry_starts_thread", "L0/file/loads-quietly", Verdict::fail},
    {"null_function", "L0/entry/table", Verdict::fail},
    {"invents_extension", "L0/entry/unknown-extension", Verdict::fail},
    {"leaks_memory", "L0/driver/lives-driver", Verdict::fail},
    {"leaks_file", "L0/driver/lives-driver", Verdict::fail},
    {"leaks_thread", "L0/driver/lives-driver", Verdict::fail},
    {"enumerate_ignores_stride", "L0/driver/enumerate-stride", Verdict::fail},
    {"enumerate_overruns", "L0/driver/enumerate-small-count", Verdict::fail},
    {"dirty_buffer", "L1/buffer/zeroed", Verdict::fail},
    {"write_out_of_range", "L1/buffer/out-of-range", Verdict::fail},
    {"read_out_of_range_wraps", "L1/buffer/out-of-range", kAny},
    {"timeline_falls", "L1/timeline/rise", Verdict::fail},
    {"wait_never_times_out", "L1/timeline/time-out", Verdict::hang},
    {"failure_stops_at_wait", "L1/fault/failures-travel", Verdict::fail},
    {"ignores_required_flags", "L1/growth/required-flags", Verdict::fail},
    {"ignores_array_stride", "L1/growth/larger-structs", kAny},
    {"accepts_unbound_state", "L1/submit/refuse-unbound-state", kAny},
    {"accepts_bad_symbol", "L1/submit/refuse", kAny},
    {"applies_refused_update", "L1/submit/refuse", Verdict::fail},
    {"dies_on_bad_graph", "L1/growth/broken-graphs", kAny},
    {"shares_scratch", "L1/threads/interleaved", kAny},
    {"keeps_first_symbols", "L1/submit/compute", kAny},
    {"crashes", "L2/matmul/F32", Verdict::crash},
    {"hangs", "L2/scale/F32/1x1", Verdict::hang},
    {"throws", "L2/scale/F32", Verdict::fail},
    {"claims_too_much", "L2/claims/claimed-MATMUL", Verdict::fail},
    {"claims_nothing", "L2/claims/unclaimed-MATMUL", Verdict::fail},
    {"matmul_off_by_one", "L2/matmul/F32", Verdict::fail},
    {"matmul_wrong_last_row", "L2/matmul/F16", Verdict::fail},
    {"add_ignores_stride", "L2/add/F32", Verdict::fail},
    {"add_ignores_offset", "L2/add/F32", Verdict::fail},
    {"copy_truncates", "L2/copy/F32/to_F16", Verdict::fail},
    {"kv_write_truncates", "L2/kv_write/F16", Verdict::fail},
    {"kv_write_wrong_cell", "L2/kv_write/F32", Verdict::fail},
    {"writes_past_output", "L2/matmul/F32", kAny},
    {"attention_wrong_head", "L2/attention/F32/gqa", Verdict::fail},
    {"attention_ignores_pages", "L2/attention/F16/gqa", Verdict::fail},
    {"attention_window_off_by_one", "L2/attention/F16/window", Verdict::fail},
    {"attention_ignores_sinks", "L2/attention/F16/sinks", Verdict::fail},
    {"attention_sees_padding", "L2/attention/F32/gqa", Verdict::fail},
    {"rope_wrong_pairing", "L2/rope/F32/plain", Verdict::fail},
    {"rope_ignores_factors", "L2/rope/F32/factors", Verdict::fail},
    {"nan_leaks", "L2/add/F32/nan-rows", Verdict::fail},
    {"argmax_last_of_tie", "L2/argmax/F32", Verdict::fail},
    {"fusion_drops_addend", "L3/random", Verdict::fail},
    {"fusion_rounds_coarsely", "L3/random", Verdict::fail},
};

std::filesystem::path folder() {
    return std::filesystem::path(REALIZAR_BINARY_DIR) / "tests" / "conformance-controls";
}

KitOptions options_for(const std::string &name) {
    KitOptions options;
    options.runner.target.plugin = (folder() / ("control_" + name + ".so")).string();
    options.runner.jobs = 2;
    return options;
}

void ignore(const CaseResult &) {}

class Controls : public testing::TestWithParam<Control> {};

TEST_P(Controls, AreCaught) {
    const Control &control = GetParam();
    KitOptions options = options_for(control.name);
    options.filter = control.test;
    if (control.verdict == Verdict::hang) options.runner.timeout = std::chrono::seconds(2);
    const KitRun run = run_kit(options, ignore);
    ASSERT_FALSE(run.results.empty()) << "no test of the kit begins with " << control.test;
    const auto caught = std::ranges::find_if(run.results, [&](const CaseResult &result) {
        return result.name.starts_with(control.test) &&
               (control.verdict == kAny ? is_bad(result.verdict)
                                        : result.verdict == control.verdict);
    });
    ASSERT_NE(caught, run.results.end()) << "found " << verdict_name(run.results.front().verdict)
                                         << ": " << run.results.front().message;
    EXPECT_FALSE(caught->message.empty());
}

INSTANTIATE_TEST_SUITE_P(All, Controls, testing::ValuesIn(kControls),
                         [](const auto &row) { return std::string(row.param.name); });

// Every control that is built has a row above.
TEST(ControlTable, IsWhole) {
    std::set<std::string> known = {"none"};
    for (const Control &control : kControls)
        EXPECT_TRUE(known.insert(control.name).second) << control.name;
    std::set<std::string> built;
    for (const auto &entry : std::filesystem::directory_iterator(folder()))
        built.insert(entry.path().stem().string().substr(std::string("control_").size()));
    EXPECT_EQ(known, built);
}

// The plugin that all of them are copies of has no fault.
TEST(ControlTable, CorrectPluginPasses) {
    const KitRun run = run_kit(options_for("none"), ignore);
    for (const CaseResult &result : run.results)
        EXPECT_FALSE(is_bad(result.verdict)) << result.name << ": " << result.message;
    EXPECT_GT(run.results.size(), 300u);
}

} // namespace
} // namespace realizar::ctk
