#include "plugins/cpu/tbb_pool.h"

#include <optional>
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

namespace realizar::cpu {

struct TbbPool::State {
    explicit State(int threads) : arena(threads) {
        // TBB has as many threads as processors, and prints when it is asked for more.
        if (threads > tbb::info::default_concurrency())
            limit.emplace(tbb::global_control::max_allowed_parallelism,
                          static_cast<size_t>(threads));
    }
    std::optional<tbb::global_control> limit;
    tbb::task_arena arena;
};

TbbPool::TbbPool(unsigned threads) : state_(std::make_unique<State>(static_cast<int>(threads))) {}
TbbPool::~TbbPool() = default;

void TbbPool::run(uint64_t n, Body body, void *context) {
    state_->arena.execute([=] {
        tbb::parallel_for(
            tbb::blocked_range<uint64_t>(0, n, 1),
            [=](const tbb::blocked_range<uint64_t> &range) {
                const auto worker =
                    static_cast<unsigned>(tbb::this_task_arena::current_thread_index());
                for (uint64_t i = range.begin(); i != range.end(); ++i)
                    body(context, i, worker);
            },
            tbb::simple_partitioner());
    });
}

} // namespace realizar::cpu
