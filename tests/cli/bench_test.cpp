// realizar bench as its user sees it: outputs, the history, suites, comparisons.
#include "tests/cli/cli_test.h"
#include "tests/support/schema.h"

#include <cstring>

namespace realizar::test {
namespace {

class Bench : public Cli {
  protected:
    // The smallest run of the small model by the backend that is always there.
    ProcessResult bench(std::vector<std::string> more, ProcessOptions options = {}) {
        std::vector<std::string> all = {"bench", "-m", draft(), "--backend", "reference", "-p",
                                        "2",     "-n", "1",     "-r",        "1"};
        all.insert(all.end(), more.begin(), more.end());
        options.environment.push_back("XDG_DATA_HOME=" + folder());
        return run(all, options);
    }
    std::string history() const { return file("realizar/bench.jsonl"); }
};

TEST_F(Bench, OutputsAndTheHistory) {
    const ProcessResult json = bench({"-o", "json"});
    ASSERT_EQ(json.code, 0) << json.err;
    const Json document = Json::parse(json.out, nullptr, false);
    ASSERT_FALSE(document.is_discarded()) << json.out;
    if (!validator_missing()) {
        EXPECT_EQ(schema_errors(document, "bench-1.1.schema.json"), "") << json.out;
    }
    EXPECT_EQ(document["results"].size(), 2u);
    EXPECT_EQ(document["model"]["name"], "fable-draft-3m-q8_0.gguf");
    EXPECT_EQ(document["results"][0]["config"]["quantization"], document["model"]["quantization"]);
    EXPECT_EQ(document["hardware"]["plugins"].back()["id"], "reference");
    EXPECT_GT(document["results"][0]["metrics"]["memory_mb"]["peak_rss"], 1);
    EXPECT_EQ(Json::parse(read(history())), document);

    const ProcessResult table = bench({"--no-history"});
    EXPECT_EQ(table.code, 0) << table.err;
    EXPECT_NE(table.out.find("pp2"), std::string::npos) << table.out;
    EXPECT_NE(table.out.find("tg1"), std::string::npos) << table.out;
    const std::string kept = read(history());
    EXPECT_EQ(std::ranges::count(kept, '\n'), 1) << "nothing is appended with --no-history";

    ProcessOptions home;
    home.environment = {"XDG_DATA_HOME=" + folder()};
    EXPECT_EQ(run({"bench", "report", "-o", file("page.html")}, home).code, 0);
    EXPECT_NE(read(file("page.html")).find("pp2"), std::string::npos);
}

TEST_F(Bench, ComparesWithItself) {
    const ProcessResult json = bench({"-o", "json", "--no-history"});
    ASSERT_EQ(json.code, 0) << json.err;
    write("a.json", json.out);
    const Json same = run_json({"bench", "compare", file("a.json"), file("a.json"), "--json"});
    ASSERT_EQ(same.size(), 2u);
    for (const Json &pair : same)
        EXPECT_EQ(pair["verdict"], "same");
    // The same runs with half the rates, five times each.
    Json before = Json::parse(json.out), after = before;
    for (Json *document : {&before, &after})
        for (Json &entry : (*document)["results"]) {
            Json samples = Json::array();
            for (int i = 0; i < 5; ++i)
                samples.push_back((document == &before ? 100.0 : 50.0) + 0.1 * i);
            entry["tok_s"]["samples"] = samples;
        }
    const ProcessResult slower = run({"bench", "compare", write("before.json", before.dump()),
                                      write("after.json", after.dump())});
    EXPECT_EQ(slower.code, 6);
    EXPECT_NE(slower.err.find("2 of 2 tests became slower"), std::string::npos) << slower.err;
    expect_error({"bench", "compare", file("a.json"), file("none.json")}, 3, "none.json");
}

TEST_F(Bench, ErrorsSayWhatIsExpected) {
    expect_error({"bench", "--suite", "nosuch"}, 2, "nosuch");
    const ProcessResult suite = run({"bench", "--suite", "nosuch"});
    for (const char *known : {"parity", "crossover"})
        EXPECT_NE(suite.err.find(known), std::string::npos) << suite.err;
    expect_error({"bench", "--suite", "parity", "-o", "html"}, 2, "table or json");
    expect_error({"bench", "-p", "0", "-n", "0"}, 2, "-p and -n");
    expect_error({"bench", "--all-backends", "--backend", "cpu"}, 2, "found both");
    expect_error({"bench", "-m", file("none.gguf")}, 3, "none.gguf");
    expect_error({"bench", "--peer", "llama.cpp"}, 2, "-m");
}

TEST_F(Bench, AModelOfNoUseToASuiteIsAnError) {
    expect_error({"bench", "--suite", "parity", "-m", write("bad.gguf", "not a model")}, 3,
                 "bad.gguf");
}

} // namespace
} // namespace realizar::test
