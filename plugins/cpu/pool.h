// The threads of the CPU backend: one TBB arena per driver, of the size that the host and the machine allow.
#pragma once

#include "plugins/cpu/tbb_pool.h"
#include "plugins/cpu/team.h"

#include <memory>

namespace realizar::cpu {

class Pool {
  public:
    // Work is planned for `threads`; at most `members` of them run, by default as many as there are
    // processors: a thread that waits for a processor in the middle of a phase keeps all others waiting.
    explicit Pool(unsigned threads, unsigned members = 0);

    unsigned threads() const { return threads_; }

    // As TbbPool::run. Runs on the caller alone when there is one thread or one piece.
    // Thread-safe. Everything that the caller wrote is visible to the bodies, and theirs to it.
    void run(uint64_t n, TbbPool::Body body, void *context);

    // Calls lead(context, team, worker) once, with other threads in the team as far as they are free.
    // Thread-safe, and as visible as run.
    using Lead = void (*)(void *context, Team &team, unsigned worker);
    void run_team(Lead lead, void *context);

  private:
    unsigned threads_, members_;
    std::unique_ptr<TbbPool> tbb_;
};

} // namespace realizar::cpu
