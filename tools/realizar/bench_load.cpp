// realizar bench --load.
#include "tools/realizar/bench_run.h"

#include <algorithm>

namespace realizar::cli {

Result<std::vector<bench::Measurement>>
measure_loading(const BenchOptions &options,
                const std::function<bool(const std::string &)> &progress) {
    if (!options.load) return std::vector<bench::Measurement>();
    const uint32_t sequences = std::ranges::max(options.sequences);
    uint32_t threads = 1;
    std::vector<bench::Loader> loaders;
    loaders.push_back({"realizar", [&]() -> Result<std::shared_ptr<void>> {
                           RZ_ASSIGN(LoadedModel loaded, load_model(options, 1, sequences));
                           threads = loaded.backends->host().threads();
                           return std::shared_ptr<void>(
                               std::make_shared<LoadedModel>(std::move(loaded)));
                       }});
    if (options.peer.starts_with("llama.cpp"))
        loaders.push_back({options.peer, [&]() -> Result<std::shared_ptr<void>> {
                               RZ_ASSIGN(auto peer, make_peer(options, sequences, threads));
                               return std::shared_ptr<void>(std::move(peer));
                           }});
    return bench::measure_loads(loaders, options.rule, progress);
}

} // namespace realizar::cli
