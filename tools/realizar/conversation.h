// What `realizar run` does once its model is loaded: one answer, or one after another.
#pragma once

#include "core/engine/generate.h"
#include "tools/realizar/options.h"

#include <optional>
#include <string>
#include <vector>

namespace realizar::cli {

struct RunOptions : ModelOptions {
    GenerateOptions generate; // complete when answer() or converse() sees it
    std::string system;
    bool interactive = false, no_bos = false, echo = false;
    int predict = 256;
    int64_t seed = -1;
    std::string format = "text", context_policy = "stop";
    std::vector<std::string> logit_bias;
    std::string session; // file that the text so far is taken from and kept in
};

uint64_t random_seed();

// Answers one prompt in the wanted format; a timing line on stderr. An answer that Ctrl-C cut short is
// printed and then an error with Code::cancelled.
Status answer(const LoadedModel &loaded, const RunOptions &options, const std::string &prompt);

// Reads lines and answers each, going on with what was said before. Ctrl-C ends an answer, Ctrl-D
// the conversation. `first`, if given, is the first line.
Status converse(const LoadedModel &loaded, const RunOptions &options,
                const std::optional<std::string> &first);

} // namespace realizar::cli
