// Perplexity of a text under a model.
#pragma once

#include "core/engine/session.h"

#include <functional>
#include <string>
#include <string_view>

namespace realizar {

struct PerplexityOptions {
    uint32_t chunk = 512;  // tokens per chunk, at least 2
    uint32_t chunks = 0;   // at most; 0: all whole chunks
    std::string separator; // between documents; empty: the text is one document
    std::function<bool(uint32_t done, uint32_t total)> progress; // chunks; false cancels
};

struct Perplexity {
    double value = 0;    // exp of the mean negative log-likelihood
    uint64_t tokens = 0; // scored
    uint32_t chunks = 0;
};

// Each document becomes BOS + tokens + EOS; the stream of documents is cut into chunks without
// overlap, each evaluated from an empty context, and tokens 2 to `chunk` of each are scored. The
// engine must have been loaded with logit_rows > 1 for speed. Chunks must fit the context.
Result<Perplexity> perplexity(Session &session, std::string_view text,
                              const PerplexityOptions &options);

} // namespace realizar
