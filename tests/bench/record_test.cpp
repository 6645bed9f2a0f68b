// The document of a run: valid by its schema, readable again, and the same in every output.
#include "bench/page.h"
#include "bench/record.h"
#include "bench/stop_rule.h"
#include "bench/tables.h"
#include "tests/support/schema.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <unistd.h>

using namespace realizar;
using namespace realizar::bench;

namespace {

constexpr const char *kSchema = "bench-1.1.schema.json";

Measurement measured(Workload work, double rate, uint64_t seed) {
    std::mt19937_64 generator(seed);
    std::normal_distribution<double> normal(rate, rate / 50);
    Measurement m;
    m.contender = "realizar";
    m.work = work;
    m.stop = Stop::variation;
    m.warm_ups = 1;
    for (int i = 0; i < 9; ++i) {
        m.samples.push_back(normal(generator));
        m.step_ms.push_back(1e3 / m.samples.back());
    }
    return m;
}

Json sample_document() {
    Subject subject;
    subject.backend = "cpu";
    subject.device = "A \"quick\" CPU | <b>";
    subject.runtime = "realizar";
    subject.model = "tiny.gguf";
    subject.format = "GGUF";
    Measurement decode = measured({0, 16, 0, 1}, 40, 1), prompt = measured({64, 0, 8, 1}, 300, 2);
    decode.temperatures = {61, 63, 62};
    decode.joules = 720;
    Json entries = Json::array({entry_json(subject, decode, {}), entry_json(subject, prompt, {}),
                                skipped_json("vulkan", "", "no driver"),
                                entry_json(subject, measured({}, 2, 3), {})});
    entries[0]["roof"] = roof_json(6e8, decode, measured({0, 16, 0, 1}, 45, 4));
    const Json model = {{"name", "tiny.gguf"},
                        {"format", "GGUF"},
                        {"quantization", "Q4_K"},
                        {"bytes", 1000},
                        {"sha256", std::string(64, 'a')}};
    return document_json(entries, environment_json(), model, 1763650000);
}

TEST(Record, IsValidByItsSchema) {
    if (test::validator_missing()) GTEST_SKIP() << test::kNoValidator;
    const Json document = sample_document();
    EXPECT_EQ(test::schema_errors(document, kSchema), "") << document.dump(2);
    EXPECT_EQ(document["timestamp"], "2025-11-20T14:46:40Z");
}

TEST(Record, TheSchemaFindsWhatIsWrong) {
    if (test::validator_missing()) GTEST_SKIP() << test::kNoValidator;
    for (const char *path : {"/results/0/tok_s/median", "/results/0/metrics/energy", "/timestamp",
                             "/results/1/sampling/actual_iterations", "/model/sha256"}) {
        Json broken = sample_document();
        broken[Json::json_pointer(path)] = Json::array({"something else"});
        EXPECT_NE(test::schema_errors(broken, kSchema), "") << path;
    }
}

TEST(Record, KeepsWhatWasMeasured) {
    const Json document = sample_document();
    const Json &entry = document["results"][0];
    EXPECT_EQ(entry["test"], "tg16");
    EXPECT_EQ(samples_of(entry), measured({0, 16, 0, 1}, 40, 1).samples);
    EXPECT_DOUBLE_EQ(entry["metrics"]["energy"]["token_joules"].get<double>(), 720.0 / (16 * 9));
    EXPECT_DOUBLE_EQ(entry["thermal"]["max_temp_c"].get<double>(), 63);
    EXPECT_TRUE(entry["metrics"]["ttft_ms"].is_null());
    EXPECT_TRUE(document["results"][1]["metrics"]["itl_ms"].is_null());
    EXPECT_TRUE(document["results"][1]["metrics"]["energy"]["total_joules"].is_null());
    EXPECT_TRUE(samples_of(document["results"][2]).empty());
    EXPECT_EQ(document["results"][3]["test"], "load");
    EXPECT_NEAR(document["results"][3]["metrics"]["cold_start_ms"]["median"].get<double>(), 500,
                50);
    EXPECT_NEAR(entry["roof"]["share"]["median"].get<double>(), 40.0 / 45, 0.05);
    EXPECT_NE(entry_key(document, entry), entry_key(document, document["results"][1]));
}

TEST(Record, FewSamplesSayLittle) {
    Measurement once = measured({16, 0, 0, 1}, 40, 1);
    once.samples.resize(1);
    Json document = sample_document();
    Subject subject;
    subject.backend = subject.runtime = "cpu";
    document["results"].push_back(entry_json(subject, once, {}));
    const Json &sampling = document["results"].back()["sampling"];
    EXPECT_TRUE(sampling["drift"].is_null());
    EXPECT_TRUE(sampling["cv_at_stop"].is_null());
    EXPECT_TRUE(document["results"][0]["sampling"]["drift"].is_number());
    if (!test::validator_missing()) {
        EXPECT_EQ(test::schema_errors(document, kSchema), "");
    }
    EXPECT_NE(html_page({&document, 1}).find("&ndash;"), std::string::npos);
}

TEST(Record, OutputsSayTheSame) {
    const Json document = sample_document();
    const std::string table = table_text(document), csv = csv_text(document),
                      markdown = markdown_text(document), page = html_page({&document, 1});
    for (const std::string &text : {table, csv, markdown, page}) {
        EXPECT_NE(text.find("tg16"), std::string::npos) << text;
        EXPECT_NE(text.find("pp64@d8"), std::string::npos) << text;
        EXPECT_NE(text.find("no driver"), std::string::npos) << text;
    }
    EXPECT_NE(csv.find("\"A \"\"quick\"\" CPU | <b>\""), std::string::npos) << csv;
    EXPECT_NE(markdown.find("CPU \\| <b>"), std::string::npos) << markdown;
    EXPECT_NE(table.find("600.0 MB a step"), std::string::npos) << table;
    EXPECT_EQ(page.find("<b>"), std::string::npos) << "names are text, not markup";
    EXPECT_EQ(page.find("<script"), std::string::npos);
    EXPECT_EQ(page.find("http"), std::string::npos) << "the page needs nothing from outside";
}

class HistoryFile : public testing::Test {
  protected:
    HistoryFile() : folder_(testing::TempDir() + "/rz_history_" + std::to_string(getpid())) {}
    ~HistoryFile() override { std::filesystem::remove_all(folder_); }
    std::string path() const { return folder_ + "/deep/bench.jsonl"; }
    std::string folder_;
};

TEST_F(HistoryFile, GrowsLineByLine) {
    for (int i = 0; i < 3; ++i)
        ASSERT_TRUE(append_history(path(), sample_document()).ok());
    std::ofstream(path(), std::ios::app) << "{\"half\": \n";
    const auto history = read_history(path());
    ASSERT_TRUE(history.ok());
    EXPECT_EQ(history->documents.size(), 3u);
    EXPECT_EQ(history->damaged, 1u);
    EXPECT_NE(html_page(history->documents).find("Trend: tiny.gguf"), std::string::npos);
}

TEST_F(HistoryFile, OtherFilesAreRefused) {
    std::filesystem::create_directories(folder_);
    const std::string other = folder_ + "/other.json";
    EXPECT_EQ(read_document(other).error().tag, "open_failed");
    std::ofstream(other) << "not JSON";
    EXPECT_EQ(read_document(other).error().tag, "bad_json");
    std::ofstream(other) << "[1, 2]";
    EXPECT_EQ(read_document(other).error().tag, "not_a_benchmark");
}

TEST(StopRule, EndsByAgreementNumberOrTime) {
    StopRule rule{3, 6, 0.05, 10};
    const std::vector<double> close = {100, 101, 99}, wide = {100, 150, 60};
    EXPECT_EQ(should_stop(rule, {}, 100), Stop::no) << "never without a sample";
    EXPECT_EQ(should_stop(rule, std::span(close).first(2), 1), Stop::no);
    EXPECT_EQ(should_stop(rule, close, 1), Stop::variation);
    EXPECT_EQ(should_stop(rule, wide, 1), Stop::no);
    EXPECT_EQ(should_stop(rule, wide, 10), Stop::budget);
    EXPECT_EQ(should_stop(rule, std::vector<double>{1, 9, 2, 8, 3, 7}, 1), Stop::most);
    rule.budget_s = 0;
    EXPECT_EQ(should_stop(rule, wide, 1e6), Stop::no);
}

TEST(Environment, DigestsAreThoseOfTheStandard) {
    // FIPS 180-2, appendix B.1.
    const std::string abc = "abc";
    EXPECT_EQ(sha256(std::as_bytes(std::span(abc))),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

} // namespace
