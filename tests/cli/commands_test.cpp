// The other subcommands, and the program itself.
#include "core/format/gguf.h"
#include "tests/cli/cli_test.h"

#include <cmath>

namespace realizar::test {
namespace {

using Commands = Cli;

const char *const kCommands[] = {"run",        "plugins",  "info",    "tokenize", "logits",
                                 "perplexity", "quantize", "convert", "bench"};

TEST_F(Commands, HelpHasExamples) {
    const ProcessResult top = run({"--help"});
    EXPECT_EQ(top.code, 0);
    EXPECT_NE(top.out.find("Exit codes"), std::string::npos);
    for (const std::string command : kCommands) {
        EXPECT_NE(top.out.find("\n  " + command + " "), std::string::npos) << command;
        const ProcessResult help = run({command, "--help"});
        EXPECT_EQ(help.code, 0);
        EXPECT_NE(help.out.find("Examples:\n  realizar " + command), std::string::npos) << help.out;
    }
}

TEST_F(Commands, VersionAndUsage) {
    const ProcessResult version = run({"--version"});
    EXPECT_EQ(version.code, 0);
    EXPECT_EQ(version.out.substr(0, 9), "realizar ");
    expect_error({}, 2, "subcommand");
    expect_error({"nosuch"}, 2, "nosuch");
    expect_error({"info", "--nosuch"}, 2, "realizar info --help");
}

TEST_F(Commands, Plugins) {
    const Json all = run_json({"plugins", "--json"}).at("plugins");
    ASSERT_FALSE(all.empty());
    const Json &last = all.back();
    EXPECT_EQ(last.at("id"), "reference");
    EXPECT_EQ(last.at("state"), "ready");
    EXPECT_EQ(last.at("devices").at(0).at("id"), "0");
    const ProcessResult text = run({"plugins"});
    EXPECT_EQ(text.code, 0);
    EXPECT_EQ(std::ranges::count(text.out, '\n'), static_cast<long>(all.size()));

    std::filesystem::create_directory(file("folder"));
    write("folder/bad.so", "not a library");
    const Json bad = run_json({"plugins", "--json", "--plugin-path", file("folder")}).at("plugins");
    ASSERT_EQ(bad.size(), 2u);
    const Json &refused = bad.at(0).at("id") == "reference" ? bad.at(1) : bad.at(0);
    EXPECT_NE(refused.at("state"), "ready");
    EXPECT_NE(refused.at("reason"), "");
    expect_error({"plugins", "--plugin-path", "relative"}, 2, "relative");
}

TEST_F(Commands, Info) {
    const Json json = run_json({"info", draft(), "--json"});
    EXPECT_EQ(json.at("architecture"), "llama");
    EXPECT_EQ(json.at("runnable"), true);
    EXPECT_EQ(json.at("metadata").at("llama.block_count"), 2);
    EXPECT_EQ(json.at("metadata").at("tokenizer.ggml.tokens").at("count"), 4096);
    EXPECT_EQ(json.at("tensors").size(), 20u);
    EXPECT_EQ(json.at("tensors").at(0).at("dims"), Json::array({4096, 256}));
    EXPECT_EQ(json.at("size"), std::filesystem::file_size(draft()));
    const ProcessResult text = run({"info"});
    EXPECT_EQ(text.code, 0);
    EXPECT_NE(text.out.find("fable-21m"), std::string::npos);

    TinyModel odd;
    odd.keys["general.architecture"] = std::string("wonder");
    odd.keys["general.name"] = std::string("escape \x1b[31m and quote \"");
    odd.write(file("odd.gguf"));
    const Json unknown = run_json({"info", file("odd.gguf"), "--json"});
    EXPECT_EQ(unknown.at("runnable"), false);
    EXPECT_NE(unknown.at("reason").get<std::string>().find("wonder"), std::string::npos);
    EXPECT_EQ(run({"info", file("odd.gguf")}).out.find('\x1b'), std::string::npos);
    expect_error({"info", folder()}, 3, "directory");
    expect_error({"info", write("t.gguf", "text text text text text text")}, 3, "bad_magic");
}

TEST_F(Commands, Tokenize) {
    const Json json = run_json({"tokenize", "-m", draft(), "--json", "Once upon a time"});
    EXPECT_EQ(json, Json::parse(R"({"tokens": [1, 2288, 669, 261, 529]})"));
    EXPECT_EQ(run_json({"tokenize", "--json", "--no-bos", "--file",
                        write("text.txt", "Once upon a time")})
                  .at("tokens"),
              Json::array({2288, 669, 261, 529}));
    ProcessOptions options;
    options.input = "Once upon a time";
    const ProcessResult text = run({"tokenize"}, options);
    EXPECT_EQ(text.out,
              "1\t\"<s>\"\n2288\t\" Once\"\n669\t\" upon\"\n261\t\" a\"\n529\t\" time\"\n");
    EXPECT_EQ(run_json({"tokenize", "--json", ""}).at("tokens"), Json::array({1}));
    expect_error({"tokenize", "--file", file("missing")}, 3, "missing");
}

TEST_F(Commands, Logits) {
    const Json all = run_json({"logits", "-m", draft(), "--tokens", "1,2288,669", "--json"});
    EXPECT_EQ(all.at("tokens"), Json::array({1, 2288, 669}));
    ASSERT_EQ(all.at("logits").size(), 3u);
    const Json last =
        run_json({"logits", "-m", draft(), "--tokens", "1,2288,669", "--last", "--json"});
    ASSERT_EQ(last.at("logits").size(), 1u);
    const auto a = all.at("logits").at(2).get<std::vector<double>>();
    const auto b = last.at("logits").at(0).get<std::vector<double>>();
    ASSERT_EQ(a.size(), 4096u);
    ASSERT_EQ(b.size(), 4096u);
    double difference = 0, norm = 0;
    for (size_t i = 0; i < a.size(); ++i) {
        difference += std::pow(a[i] - b[i], 2);
        norm += a[i] * a[i];
    }
    EXPECT_LT(std::sqrt(difference / norm), 2e-2);
    expect_error({"logits", "--tokens", "1,4096"}, 2, "4096");
    for (const char *bad : {"1,x", "", "1,,2", "1,", ",1", "1 2", "99999999999"})
        expect_error({"logits", "--tokens", bad}, 2, "--tokens: expected token ids");
    expect_error({"logits"}, 2, "--tokens");
    expect_error({"logits", "-c", "2", "--tokens", "1,2,3"}, 5, "context");
}

TEST_F(Commands, Perplexity) {
    std::string text;
    for (int i = 0; i < 12; ++i)
        text += "There was once a king who had three daughters.\n<|end|>\n";
    const std::vector<std::string> command = {
        "perplexity", "-m",    draft(),    "--file", write("t.txt", text),
        "--chunk",    "32",    "--chunks", "3",      "--doc-separator",
        "<|end|>",    "--json"};
    const Json json = run_json(command);
    EXPECT_EQ(json.size(), 3u);
    EXPECT_EQ(json.at("chunks"), 3);
    EXPECT_EQ(json.at("tokens"), 93);
    EXPECT_GT(json.at("perplexity").get<double>(), 1);
    EXPECT_LT(json.at("perplexity").get<double>(), 60) << "it knows such sentences";
    expect_error({"perplexity", "--file", file("missing")}, 3, "missing");
    expect_error({"perplexity", "--file", write("short", "too short")}, 2, "512");
    expect_error({"perplexity", "--file", file("t.txt"), "--chunk", "1"}, 2, "--chunk");
    expect_error({"perplexity", "--file", file("t.txt"), "--chunk", "64", "-c", "32"}, 2, "chunk");
}

TEST_F(Commands, Quantize) {
    const ProcessResult result = run({"quantize", draft(), file("q4.gguf"), "q4_0", "--verbose"});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_NE(result.err.find("blk.0.attn_q.weight: Q8_0 -> Q4_0"), std::string::npos)
        << result.err;
    const auto quantized = GgufFile::open(file("q4.gguf"));
    ASSERT_TRUE(quantized.ok());
    EXPECT_EQ((*quantized)->find_tensor("blk.1.ffn_down.weight")->dtype, DType::Q4_0);
    EXPECT_EQ((*quantized)->find_tensor("output_norm.weight")->dtype, DType::F32);
    EXPECT_EQ(run({"run", "-m", file("q4.gguf"), "-n", "4", "A king"}).code, 0);

    expect_error({"quantize", file("q4.gguf"), file("q4.gguf"), "Q8_0"}, 2, "another file");
    std::filesystem::create_symlink(file("q4.gguf"), file("link.gguf"));
    expect_error({"quantize", file("q4.gguf"), file("link.gguf"), "Q8_0"}, 2, "another file");
    expect_error({"quantize", draft(), file("x.gguf"), "Q9_9"}, 2, "Q4_K_M");
    expect_error({"quantize", file("missing"), file("x.gguf"), "Q8_0"}, 3, "missing");
    expect_error({"quantize", draft(), file("no/such/folder/x.gguf"), "Q8_0"}, 3, "no/such");
    EXPECT_FALSE(std::filesystem::exists(file("x.gguf")));
}

TEST_F(Commands, ConvertAndSplitFiles) {
    const std::string first = file("part-00001-of-00002.gguf");
    EXPECT_EQ(run({"convert", draft(), file("a.apr")}).code, 0);
    EXPECT_EQ(run({"convert", file("a.apr"), file("b.gguf")}).code, 0);
    EXPECT_EQ(run({"split", file("a.apr"), file("part"), "--max-size", "2M"}).code, 0);
    EXPECT_EQ(run({"convert", first, file("c.gguf")}).code, 0);
    EXPECT_TRUE(read(file("b.gguf")) == read(draft()));
    EXPECT_TRUE(read(file("c.gguf")) == read(draft()));
    const Json apr = run_json({"info", "--json", file("a.apr")});
    EXPECT_EQ(apr.at("format"), "APR");
    EXPECT_EQ(apr.at("runnable"), true);
    const Json parts = run_json({"info", "--json", first});
    EXPECT_EQ(parts.at("parts"), 2);
    EXPECT_EQ(parts.at("metadata").count("split.count"), 0u);
    const std::vector<std::string> prompt = {"-n", "8", "--temp", "0", "A king"};
    std::vector<std::string> expected;
    for (const std::string &model : {draft(), file("a.apr"), first}) {
        std::vector<std::string> arguments = {"run", "-m", model};
        arguments.insert(arguments.end(), prompt.begin(), prompt.end());
        expected.push_back(run(arguments).out);
    }
    EXPECT_NE(expected[0], "");
    EXPECT_EQ(expected[1], expected[0]);
    EXPECT_EQ(expected[2], expected[0]);

    expect_error({"run", "-m", file("part-00002-of-00002.gguf"), "x"}, 2, "part-00001-of-00002");
    std::filesystem::remove(file("part-00002-of-00002.gguf"));
    expect_error({"run", "-m", first, "x"}, 3, "part-00002-of-00002");
    expect_error({"convert", draft(), file("x.gguf"), "--type", "f32"}, 2, "quantize");
    expect_error({"split", draft(), file("y")}, 2, "limit");
    expect_error({"convert", file("a.apr"), file("a.apr")}, 2, "another file");
}

TEST_F(Commands, PlanSaysWhereAndWhy) {
    const Json one = run_json({"plan", "-m", draft(), "--backend", "reference", "--json"});
    EXPECT_EQ(one.at("by_cost"), false);
    ASSERT_EQ(one.at("regions").size(), 2u);
    EXPECT_EQ(one.at("regions")[0][0].at("device"), "reference:0");
    const std::vector<std::string> split = {"plan",
                                            "-m",
                                            draft(),
                                            "-c",
                                            "64",
                                            "-b",
                                            "16",
                                            "--backend",
                                            "reference",
                                            "--device-memory",
                                            "reference=1.5MiB",
                                            "--json"};
    const Json plan = run_json(split);
    if (plan.at("devices").size() > 1) { // the CPU takes the rest
        EXPECT_EQ(plan.at("by_cost"), true);
        EXPECT_GE(plan.at("parts").size(), 5u);
        EXPECT_EQ(plan.at("steps").size(), 2u);
        EXPECT_GT(plan.at("steps")[0].at("predicted_ms").get<double>(), 0);
        for (const Json &region : plan.at("regions")[0])
            EXPECT_NE(region.at("reason"), "");
    }
    expect_error({"plan", "-m", draft(), "--backend", "reference", "--require-device",
                  "--device-memory", "reference=1MiB"},
                 4, "model_too_large");
    expect_error({"plan", "-m", draft(), "--device-memory", "6 apples"}, 2, "6GiB");
    expect_error({"plan", "-m", draft(), "--device-memory", "nosuch=6GiB"}, 2, "nosuch");
    expect_error({"plan", "-m", draft(), "--backend", "reference", "--deny-device", "reference"}, 4,
                 "no_device");
}

TEST_F(Commands, PlanErrors) {
    expect_error({"plan", "-m", file("missing.gguf")}, 3, "missing.gguf");
    expect_error({"plan", "-m", draft(), "--no-such-option"}, 2, "--no-such-option");
    expect_error({"plan", "-m", draft(), "-b", "many"}, 2, "many");
    expect_error({"plan", "-m", draft(), "--backend", "nosuch"}, 4, "no_backend");
    expect_error({"plan", "-m", draft(), "--backend", "reference,nosuch"}, 4, "nosuch");
    expect_error({"plan", "-m", draft(), "--backend", "reference", "--device", "7"}, 4,
                 "reference:0");
    expect_error({"plan", "-m", draft(), "--backend", "cpu", "--device", "reference:0"}, 2,
                 "bad_option");
    expect_error({"plan", "-m", draft(), "--device-memory", "-1GiB"}, 2, "6GiB");
    // What a device may hold, where nothing else may take the rest.
    expect_error({"plan", "-m", draft(), "--device", "reference:0", "--require-device",
                  "--device-memory", "reference=100K"},
                 4, "reference:0");
}

TEST_F(Commands, PlanOnThePreferredDevice) {
    const std::vector<std::string> arguments = {
        "plan", "-m", draft(), "--deny-device", "vulkan", "--deny-device", "opencl", "-c", "64"};
    const ProcessResult plain = run(arguments); // without any GPU
    EXPECT_EQ(plain.code, 0);
    EXPECT_NE(plain.out.find("tokens: nodes 0-"), std::string::npos) << plain.out;
    EXPECT_NE(plain.out.find("prompts: nodes 0-"), std::string::npos) << plain.out;
    EXPECT_NE(plain.out.find("by preference"), std::string::npos) << plain.out;
    const Json pinned =
        run_json({"plan", "-m", draft(), "--device", "reference:0", "--require-device", "--json"});
    ASSERT_EQ(pinned.at("devices").size(), 1u);
    EXPECT_EQ(pinned.at("regions")[0][0].at("device"), "reference:0");
}

TEST_F(Commands, ConvertErrors) {
    expect_error({"convert", file("missing"), file("out.gguf")}, 3, "missing");
    std::filesystem::create_directory(file("empty"));
    expect_error({"convert", file("empty"), file("out.gguf")}, 3, "config.json");
    expect_error({"convert", file("empty"), file("out.gguf"), "--type", "q4_0"}, 2, "q4_0");
    EXPECT_FALSE(std::filesystem::exists(file("out.gguf")));
}

} // namespace
} // namespace realizar::test
