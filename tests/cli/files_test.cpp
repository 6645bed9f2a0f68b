// Commands that read and write model files and what belongs to them: importance matrices, types by
// tensor, parts, damaged weights, sessions.
#include "core/format/gguf.h"
#include "tests/cli/cli_test.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace realizar::test {
namespace {

using Files = Cli;

std::string words(int count) {
    std::string text;
    for (int i = 0; i < count; ++i)
        text += (i % 7 == 0 ? "The king " : "went into the wood and ");
    return text;
}

TEST_F(Files, ImportanceSteersQuantising) {
    const std::string text = write("text.txt", words(60));
    const ProcessResult collected = run({"imatrix", "-m", draft(), "--file", text,
                                         file("m.imatrix"), "--chunk", "64", "--chunks", "2"});
    ASSERT_EQ(collected.code, 0) << collected.err;
    EXPECT_EQ(collected.out, "");
    EXPECT_NE(collected.err.find("15 weights over 2 chunks of 64 tokens"), std::string::npos)
        << collected.err;
    const auto quantize = [&](const char *out, std::vector<std::string> more) {
        more.insert(more.begin(), {"quantize", draft(), file(out), "Q3_K_M", "-v"});
        const ProcessResult result = run(more);
        EXPECT_EQ(result.code, 0) << result.err;
        return result.err;
    };
    const std::string plain = quantize("plain.gguf", {});
    const std::string steered = quantize("steered.gguf", {"--imatrix", file("m.imatrix")});
    EXPECT_EQ(plain.find("with importance"), std::string::npos) << plain;
    EXPECT_NE(steered.find("with importance"), std::string::npos) << steered;
    EXPECT_FALSE(read(file("plain.gguf")) == read(file("steered.gguf")));
    EXPECT_EQ(run({"run", "-m", file("steered.gguf"), "-n", "3", "A king"}).code, 0);

    // The format before GGUF, for one weight of 256 columns.
    std::string dat;
    const auto number = [&](int32_t value) { dat.append(reinterpret_cast<char *>(&value), 4); };
    const std::string name = "blk.0.attn_q.weight";
    number(1), number(static_cast<int32_t>(name.size())), dat += name, number(3), number(256);
    for (int i = 0; i < 256; ++i) {
        const auto square = static_cast<float>(i % 5 == 0 ? 50 : 1);
        dat.append(reinterpret_cast<const char *>(&square), 4);
    }
    const std::string old = quantize("old.gguf", {"--imatrix", write("m.dat", dat)});
    const size_t line = old.find(name + ": ");
    ASSERT_NE(line, std::string::npos) << old;
    EXPECT_NE(old.substr(line, old.find('\n', line) - line).find("with importance"),
              std::string::npos)
        << old;

    expect_error({"quantize", draft(), file("x"), "Q4_0", "--imatrix", file("plain.gguf")}, 3,
                 "expected a GGUF file of the type 'imatrix', found");
    expect_error({"quantize", draft(), file("x"), "Q4_0", "--imatrix", text}, 3, "found neither");
    expect_error({"quantize", draft(), file("x"), "Q4_0", "--imatrix", file("none")}, 3, "none");
    expect_error({"quantize", draft(), file("x"), "Q4_0", "--imatrix",
                  write("cut.dat", dat.substr(0, dat.size() - 1))},
                 3, "malformed_importance");
    expect_error({"imatrix", "-m", draft(), "--file", file("none"), file("x")}, 3, "none");
    expect_error({"imatrix", "-m", draft(), "--file", write("few.txt", "few"), file("x")}, 2,
                 "expected at least 512 tokens");
    expect_error({"imatrix", "-m", draft(), "--file", text, file("no/folder"), "--chunk", "64",
                  "--chunks", "1"},
                 3, "no/folder");
    EXPECT_FALSE(std::filesystem::exists(file("x")));
}

TEST_F(Files, TypesByTensor) {
    const ProcessResult result =
        run({"quantize", draft(), file("out.gguf"), "Q4_0", "--tensor-type", "attn_q=F16",
             "--tensor-type", "blk.1.*=Q5_1", "--tensor-type", "nosuch*=Q8_0"});
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_NE(result.err.find("nosuch* names no matrix"), std::string::npos) << result.err;
    const auto out = GgufFile::open(file("out.gguf"));
    ASSERT_TRUE(out.ok());
    const auto type = [&](const char *name) { return (*out)->find_tensor(name)->dtype; };
    EXPECT_EQ(type("blk.1.attn_q.weight"), DType::F16) << "the first pattern counts";
    EXPECT_EQ(type("blk.1.ffn_up.weight"), DType::Q5_1);
    EXPECT_EQ(type("blk.0.ffn_up.weight"), DType::Q4_0);
    EXPECT_EQ(type("blk.1.ffn_norm.weight"), DType::F32) << "norms are no matrices";
    EXPECT_EQ(run({"run", "-m", file("out.gguf"), "-n", "3", "A king"}).code, 0);
    for (const char *bad : {"attn_q", "=Q8_0", "attn_q=", "attn_q=Q99", "attn_q=IQ2_XXS"})
        expect_error({"quantize", draft(), file("x"), "Q4_0", "--tensor-type", bad}, 2, "expected");
    EXPECT_FALSE(std::filesystem::exists(file("x")));
}

TEST_F(Files, Parts) {
    const ProcessResult result = run({"split", draft(), file("part"), "--max-tensors", "9"});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_NE(result.err.find("3 parts"), std::string::npos) << result.err;
    const std::string first = file("part-00001-of-00003.gguf");
    const std::string middle = file("part-00002-of-00003.gguf"), kept = read(middle);
    EXPECT_EQ(run_json({"info", "--json", first}).at("tensors").size(), 20u);
    // A part that is missing, cut, or of another model.
    std::filesystem::remove(middle);
    expect_error({"info", first}, 3, "part-00002-of-00003.gguf");
    write("part-00002-of-00003.gguf", kept.substr(0, kept.size() - 1));
    expect_error({"info", first}, 3, "part-00002-of-00003.gguf");
    std::filesystem::remove(middle);
    std::filesystem::copy_file(draft(), middle);
    expect_error({"info", first}, 3, "split_mismatch");

    for (const std::vector<std::string> &bad :
         {std::vector<std::string>{"--max-tensors", "0"}, {"--max-size", "much"}, {}}) {
        std::vector<std::string> arguments = {"split", draft(), file("y")};
        arguments.insert(arguments.end(), bad.begin(), bad.end());
        EXPECT_EQ(run(arguments).code, 2);
    }
    expect_error({"split", file("none"), file("y"), "--max-tensors", "3"}, 3, "none");
    expect_error({"split", draft(), file("no/folder/y"), "--max-tensors", "3"}, 3, "no/folder");
}

TEST_F(Files, CheckTensorsFindsWhatIsNoNumber) {
    std::string bytes = read(draft());
    const auto in = GgufFile::open(draft());
    ASSERT_TRUE(in.ok());
    const GgufTensor &tensor = *(*in)->find_tensor("blk.1.ffn_up.weight");
    const uint16_t infinity = 0x7C00; // the scale of block 5
    std::memcpy(&bytes[tensor.file_offset + 5 * 34], &infinity, sizeof infinity);
    const std::string damaged = write("damaged.gguf", bytes);
    expect_error(
        {"logits", "-m", damaged, "--tokens", "1,2", "--check-tensors"}, 3,
        "tensor 'blk.1.ffn_up.weight' (Q8_0): expected finite weights, found NaN or Inf in "
        "block 5");
    EXPECT_EQ(run({"logits", "-m", draft(), "--tokens", "1,2", "--check-tensors"}).code, 0);
    EXPECT_EQ(run({"logits", "-m", damaged, "--tokens", "1,2"}).code, 0) << "only if asked";
}

TEST_F(Files, SessionFilesThatDoNotFit) {
    const std::vector<std::string> base = {"run", "-m", draft(),  "--temp",   "0",
                                           "-n",  "4",  "A king", "--session"};
    const auto with = [&](const std::string &session, std::vector<std::string> more) {
        auto arguments = base;
        arguments.push_back(session);
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    };
    ASSERT_EQ(run(with(file("s"), {})).code, 0);
    expect_error(with(file("s"), {"-ctk", "q8_0"}), 3, "session_mismatch");
    expect_error(with(file("s"), {"-c", "4"}), 5, "the context holds 4 tokens");
    expect_error(with(write("text", "once upon a time there was a file"), {}), 3,
                 "expected a session file");
    expect_error(with(folder(), {}), 3, "directory");
}

TEST_F(Files, StreamsWithoutEnd) {
    const std::vector<std::string> base = {"run",      "-m",   draft(),  "--temp", "0",
                                           "--format", "json", "-c",     "192",    "--ignore-eos",
                                           "--keep",   "4",    "A king", "-n",     "400"};
    const auto with = [&](std::vector<std::string> more) {
        more.insert(more.begin(), base.begin(), base.end());
        return more;
    };
    EXPECT_LT(run_json(with({})).at("tokens").size(), 200u) << "the context ends it";
    const Json whole = run_json(with({"--context-policy", "stream"}));
    EXPECT_EQ(whole.at("tokens").size(), 400u);
    // The same text when it is interrupted and taken up from a file.
    Json tokens = Json::array();
    for (const std::string prompt : {"A king", ""}) {
        auto arguments = with({"--context-policy", "stream", "--session", file("s")});
        *std::ranges::find(arguments, "A king") = prompt;
        *std::ranges::find(arguments, "400") = "200";
        const Json half = run_json(arguments);
        tokens.insert(tokens.end(), half.at("tokens").begin(), half.at("tokens").end());
    }
    EXPECT_EQ(tokens, whole.at("tokens"));
    expect_error(with({"--session", file("s")}), 3, "session_mismatch");
    expect_error({"run", "-m", draft(), "-c", "100", "--context-policy", "stream", "x"}, 2,
                 "expected at least 192 positions");
}

} // namespace
} // namespace realizar::test
