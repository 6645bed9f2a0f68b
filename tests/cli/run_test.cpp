// realizar run, on the built-in model and its draft.
#include "tests/cli/cli_test.h"

#include <algorithm>

namespace realizar::test {
namespace {

constexpr const char *kPrompt = "Once upon a time there was";

class Run : public Cli {
  protected:
    std::vector<std::string> greedy(std::vector<std::string> more) {
        std::vector<std::string> all = {"run", "-m", draft(), "--temp", "0", "-n", "16"};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    static std::vector<Json> lines(const std::string &text) {
        std::vector<Json> list;
        std::istringstream stream(text);
        for (std::string line; std::getline(stream, line);)
            list.push_back(Json::parse(line));
        return list;
    }
};

TEST_F(Run, BuiltInModelTellsAStory) {
    const ProcessResult result = run({"run", kPrompt, "-n", "20", "--seed", "3"});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_GT(result.out.size(), 20u);
    EXPECT_EQ(result.out.back(), '\n');
    for (const char *word : {"load ", "prompt ", "answer ", "tok/s"})
        EXPECT_NE(result.err.find(word), std::string::npos) << result.err;
    EXPECT_EQ(result.err.find('\r'), std::string::npos) << "a progress bar without a terminal";
    // The same seed, the same story; another one, another.
    EXPECT_EQ(run({"run", kPrompt, "-n", "20", "--seed", "3"}).out, result.out);
    EXPECT_NE(run({"run", kPrompt, "-n", "20", "--seed", "4"}).out, result.out);
}

TEST_F(Run, JsonHasTheDocumentedShape) {
    const Json json = run_json(greedy({"--format", "json", kPrompt}));
    EXPECT_EQ(json.at("tokens").size(), 16u);
    EXPECT_EQ(json.at("finish_reason"), "length");
    for (const char *key : {"load_ms", "prompt_tok_s", "decode_tok_s"})
        EXPECT_GT(json.at("timings").at(key).get<double>(), 0) << key;
    ASSERT_FALSE(json.at("placement").empty());
    EXPECT_TRUE(json.at("placement").at(0).at("device").is_string());
    EXPECT_EQ(json.size(), 5u);
    const std::string text = json.at("text");
    EXPECT_EQ(run(greedy({kPrompt})).out, text + "\n");
}

TEST_F(Run, StreamGivesTheSameTokenByToken) {
    const Json whole = run_json(greedy({"--format", "json", kPrompt}));
    const ProcessResult result = run(greedy({"--format", "stream", kPrompt}));
    ASSERT_EQ(result.code, 0) << result.err;
    std::string text;
    Json tokens = Json::array();
    const std::vector<Json> list = lines(result.out);
    for (const Json &line : list) {
        if (!line.contains("token")) continue;
        text += line.at("text").get<std::string>();
        if (!line.at("token").is_null()) tokens.push_back(line.at("token"));
    }
    EXPECT_EQ(text, whole.at("text"));
    EXPECT_EQ(tokens, whole.at("tokens"));
    EXPECT_EQ(list.back().at("finish_reason"), "length");
    EXPECT_TRUE(list.back().contains("timings"));
}

TEST_F(Run, TheDeviceChoosesTheSameTokens) {
    const auto tell = [&](const char *per_submission) {
        return run({"run", "-m", draft(), kPrompt, "-n", "20", "--seed", "5", "--ignore-eos",
                    "--tokens-per-submission", per_submission});
    };
    const ProcessResult host = tell("0");
    ASSERT_EQ(host.code, 0) << host.err;
    for (const char *per_submission : {"1", "8"})
        EXPECT_EQ(tell(per_submission).out, host.out);
    EXPECT_EQ(tell("65").code, 2);
    EXPECT_EQ(tell("-1").code, 2);
}

TEST_F(Run, PromptsComeFromAnywhere) {
    const std::string expected = run(greedy({kPrompt})).out;
    EXPECT_EQ(run(greedy({"-p", kPrompt})).out, expected);
    EXPECT_EQ(run(greedy({"-f", write("prompt.txt", std::string(kPrompt) + "\n")})).out, expected);
    ProcessOptions piped;
    piped.input = std::string(kPrompt) + "\n";
    EXPECT_EQ(run(greedy({}), piped).out, expected);
    EXPECT_EQ(run(greedy({"--system", "Once upon a time", "there was", "--no-bos"})).code, 0);
    EXPECT_EQ(run(greedy({"--echo", kPrompt})).out, kPrompt + expected);
    expect_error(greedy({"-p", kPrompt, kPrompt}), 2, "excludes");
    expect_error(greedy({"-f", file("missing.txt")}), 3, "missing.txt");
}

TEST_F(Run, AllOptionsAreUnderstood) {
    const ProcessResult result = run({"run",
                                      "-m",
                                      draft(),
                                      "-p",
                                      kPrompt,
                                      "-n",
                                      "8",
                                      "-c",
                                      "128",
                                      "-t",
                                      "1",
                                      "-b",
                                      "32",
                                      "-ub",
                                      "16",
                                      "--temp",
                                      "0.9",
                                      "--top-k",
                                      "20",
                                      "--top-p",
                                      "0.9",
                                      "--min-p",
                                      "0.1",
                                      "--repeat-penalty",
                                      "1.1",
                                      "--repeat-last-n",
                                      "32",
                                      "--presence-penalty",
                                      "0.1",
                                      "--frequency-penalty",
                                      "0.1",
                                      "--seed",
                                      "9",
                                      "--ignore-eos",
                                      "--stop",
                                      "zzzz",
                                      "--stop",
                                      "yyyy",
                                      "--logit-bias",
                                      "13=-1.5",
                                      "--logit-bias",
                                      "14=-inf",
                                      "-ctk",
                                      "q8_0",
                                      "-ctv",
                                      "f32",
                                      "--context-policy",
                                      "slide",
                                      "--keep",
                                      "3",
                                      "--check-tensors",
                                      "--verbose",
                                      "--backend",
                                      "auto"});
    EXPECT_EQ(result.code, 0) << result.err;
    for (const char *word : {"seed 9", "context 128", "16 per step", "1 threads", "nodes 0-"})
        EXPECT_NE(result.err.find(word), std::string::npos) << word << "\n" << result.err;
}

TEST_F(Run, StopStringsAndBiasesEndIt) {
    const std::string text = run_json(greedy({"--format", "json", kPrompt})).at("text");
    const std::string stop = text.substr(text.size() / 2, 3);
    const Json stopped = run_json(greedy({"--format", "json", kPrompt, "--stop", stop}));
    EXPECT_EQ(stopped.at("finish_reason"), "stop");
    EXPECT_EQ(stopped.at("text"), text.substr(0, text.find(stop)));
    const Json ended = run_json(greedy({"--format", "json", kPrompt, "--logit-bias", "2=1000"}));
    EXPECT_EQ(ended.at("finish_reason"), "stop");
    EXPECT_TRUE(ended.at("tokens").empty());
}

TEST_F(Run, ReferenceBackendAgrees) {
    const Json ours = run_json(greedy({"--format", "json", kPrompt}));
    const Json reference =
        run_json(greedy({"--format", "json", kPrompt, "--backend", "reference"}));
    EXPECT_EQ(reference.at("tokens"), ours.at("tokens"));
    EXPECT_EQ(reference.at("placement").at(0).at("device"), "reference:0");
}

TEST_F(Run, WithoutPluginsTheReferenceComputes) {
    std::filesystem::create_directory(file("empty"));
    const ProcessResult result = run(greedy({kPrompt, "--plugin-path", file("empty")}));
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_NE(result.err.find("reference"), std::string::npos) << result.err;
    EXPECT_EQ(result.out, run(greedy({kPrompt})).out);
}

TEST_F(Run, BytesThatAreNoTextNeverReachJson) {
    // Byte tokens 0x80 and up alone are not UTF-8: forbid all else.
    const ProcessResult result = run(greedy(
        {"--format", "stream", kPrompt, "--logit-bias", "131=1000", "--logit-bias", "250=999"}));
    ASSERT_EQ(result.code, 0) << result.err;
    std::string text;
    for (const Json &line : lines(result.out)) // parsing fails on bad UTF-8
        if (line.contains("text")) text += line.at("text").get<std::string>();
    EXPECT_EQ(text.substr(0, 3), "\xEF\xBF\xBD");
}

TEST_F(Run, MistakesAreExplained) {
    expect_error(greedy({kPrompt, "--backend", "nosuch"}), 4, "reference");
    expect_error(greedy({kPrompt, "--device", "7"}), 4, "7");
    expect_error(greedy({kPrompt, "--nosuch"}), 2, "--nosuch");
    expect_error(greedy({kPrompt, "-ngl", "33"}), 2, "--backend");
    expect_error(greedy({kPrompt, "--format", "xml"}), 2, "xml");
    expect_error(greedy({kPrompt, "-ctk", "q2_k"}), 2, "q2_k");
    expect_error(greedy({kPrompt, "-b", "0"}), 2, "batch");
    expect_error(greedy({kPrompt, "-t", "0"}), 2, "threads");
    expect_error(greedy({kPrompt, "-c", "99999999"}), 2, "context");
    expect_error(greedy({kPrompt, "--top-p", "7"}), 2, "top_p");
    expect_error(greedy({kPrompt, "--logit-bias", "13"}), 2, "TOKEN=BIAS");
    expect_error(greedy({kPrompt, "--logit-bias", "99999=1"}), 2, "99999");
    expect_error(greedy({kPrompt, "--plugin-path", "relative"}), 2, "relative");
    expect_error(greedy({"-c", "8", "A prompt that is much longer than eight tokens can ever be"}),
                 5, "context");
    expect_error(greedy({"--no-bos", ""}), 2, "prompt");
    expect_error(greedy({"-i", "--format", "json"}), 2, "--format");
}

TEST_F(Run, BadModelsAreRefused) {
    const std::string whole = read(draft());
    expect_error({"run", "-m", file("missing.gguf"), "x"}, 3, "missing.gguf");
    expect_error({"run", "-m", folder(), "x"}, 3, "directory");
    expect_error({"run", "-m", write("text.gguf", "This is not a model, but a sentence."), "x"}, 3,
                 "bad_magic");
    expect_error({"run", "-m", write("empty.gguf", ""), "x"}, 3, "truncated_header");
    for (const size_t size : {whole.size() / 2, whole.size() - 1, size_t{1000}})
        expect_error({"run", "-m", write("cut.gguf", whole.substr(0, size)), "x"}, 3, "cut.gguf");
    TinyModel().write(file("no-vocabulary.gguf"));
    expect_error({"run", "-m", file("no-vocabulary.gguf"), "x"}, 3, "tokenizer.ggml");
    TinyModel unknown;
    unknown.keys["general.architecture"] = std::string("wonder");
    unknown.write(file("unknown.gguf"));
    expect_error({"run", "-m", file("unknown.gguf"), "x"}, 3, "wonder");
}

TEST_F(Run, InterruptEndsAnAnswer) {
    ProcessOptions options;
    options.interrupt_after = "\n";
    const ProcessResult result = run({"run", "-m", draft(), "--format", "stream", "--ignore-eos",
                                      "-n", "-1", "--context-policy", "slide", kPrompt},
                                     options);
    EXPECT_EQ(result.code, 130) << result.err;
    EXPECT_EQ(lines(result.out).back().at("finish_reason"), "cancelled");
}

TEST_F(Run, SessionsGoOn) {
    const auto text = [&](std::vector<std::string> more) {
        more.insert(more.begin(), {"run", "-m", draft(), "--temp", "0", "--format", "json"});
        return run_json(more);
    };
    const Json whole = text({kPrompt, "-n", "24"});
    Json first = text({kPrompt, "-n", "10", "--session", file("s")});
    const Json second = text({"", "-n", "14", "--session", file("s")});
    for (const Json &token : second.at("tokens"))
        first.at("tokens").push_back(token);
    EXPECT_EQ(first.at("tokens"), whole.at("tokens"));
    // A damaged file, and one of another model, are refused and kept.
    const std::string bytes = read(file("s"));
    write("cut", bytes.substr(0, bytes.size() / 2));
    expect_error(greedy({kPrompt, "--session", file("cut")}), 3, "cut");
    EXPECT_EQ(read(file("cut")).size(), bytes.size() / 2);
    expect_error({"run", kPrompt, "-n", "1", "--session", file("s")}, 3, "another");
    EXPECT_TRUE(read(file("s")) == bytes);
}

TEST_F(Run, Conversation) {
    ProcessOptions options;
    options.terminal = true;
    options.input = "Once upon a time\nThe king\n\x04";
    const ProcessResult result = run(greedy({"-v"}), options);
    EXPECT_EQ(result.code, 0) << result.out;
    EXPECT_NE(result.out.find("Ctrl-D"), std::string::npos) << result.out;
    const auto prompts = std::ranges::count(result.out, '>');
    EXPECT_GE(prompts, 3) << result.out;
    // The second turn goes on with the first: only its own tokens are evaluated.
    EXPECT_NE(result.out.find("prompt 5 tokens"), std::string::npos) << result.out;
}

TEST_F(Run, InterruptEndsAnAnswerButNotTheConversation) {
    ProcessOptions options;
    options.terminal = true;
    options.input = "Once upon a time\n\x04";
    options.interrupt_after = "the"; // some way into an answer without end
    const ProcessResult result = run({"run", "-m", draft(), "--temp", "0", "--ignore-eos", "-n",
                                      "-1", "--context-policy", "slide"},
                                     options);
    EXPECT_EQ(result.code, 0) << result.out;
    EXPECT_EQ(std::ranges::count(result.out, '>'), 2) << result.out;
}

TEST_F(Run, ConversationFromAPipe) {
    ProcessOptions options;
    options.input = "The wolf\n\nThe king\n";
    const ProcessResult result = run(greedy({"-i", "-p", "Once upon a time"}), options);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.out.find('>'), std::string::npos);
    const std::string first = run(greedy({"-p", "Once upon a time"})).out;
    EXPECT_TRUE(result.out.starts_with(first)) << result.out;
}

} // namespace
} // namespace realizar::test
