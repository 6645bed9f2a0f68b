// One tokenizer serves many threads at once; run under the thread sanitizer too.
#include "tests/tokenizer/vocabularies.h"

#include <thread>

using namespace realizar;

namespace {

TEST(Tokenizer, ManyThreads) {
    for (const bool spm : {false, true}) {
        const auto tokenizer =
            test::make_tokenizer(spm ? test::spm_vocabulary({"\xE2\x96\x81", "a", "b", "ab"})
                                     : test::bpe_vocabulary({{"a", "b"}, {"ab", "a"}}));
        std::mt19937_64 random(71);
        std::vector<std::string> texts;
        std::vector<std::vector<Token>> expected;
        for (int i = 0; i < 50; ++i) {
            texts.push_back(test::random_text(random, 50, true));
            expected.push_back(test::encode(*tokenizer, texts.back()));
        }
        std::vector<std::thread> threads;
        std::vector<int> wrong(4, 0);
        for (int &count : wrong)
            threads.emplace_back([&] {
                for (size_t i = 0; i < texts.size(); ++i) {
                    const auto tokens = tokenizer->encode(texts[i]);
                    count += !tokens.ok() || *tokens != expected[i] ||
                             tokenizer->decode(*tokens) != texts[i];
                }
            });
        for (std::thread &thread : threads)
            thread.join();
        EXPECT_EQ(wrong, std::vector<int>(4, 0));
    }
}

} // namespace
