#include "plugins/cpu/pool.h"

#include <algorithm>
#include <thread>

#ifdef __SANITIZE_THREAD__
extern "C" {
void __tsan_acquire(void *address);
void __tsan_release(void *address);
}
#endif

namespace realizar::cpu {

namespace {

// What happens before what, for the thread sanitizer; nothing in other builds.
#ifdef __SANITIZE_THREAD__
void publish(void *address) { __tsan_release(address); }
void observe(void *address) { __tsan_acquire(address); }
#else
void publish(void *) {}
void observe(void *) {}
#endif

struct Job {
    TbbPool::Body body;
    void *context;
};

void run_piece(void *context, uint64_t i, unsigned worker) {
    Job &job = *static_cast<Job *>(context);
    observe(&job);
    job.body(job.context, i, worker);
    publish(&job);
}

struct Closing {
    Team &team;
    ~Closing() { team.close(); }
};
// The first piece that starts leads; every other thread that takes one joins until the leader is done.
// A thread that takes another piece later finds the team closed.
struct Leading {
    Pool::Lead lead;
    void *context;
    Team team;
    std::atomic<bool> led{false};

    static void piece(void *self, uint64_t, unsigned worker) {
        auto &job = *static_cast<Leading *>(self);
        if (job.led.exchange(true)) return job.team.join(worker);
        const Closing closing{job.team};
        job.lead(job.context, job.team, worker);
    }
};

} // namespace

Pool::Pool(unsigned threads, unsigned members) : threads_(threads), members_(threads) {
    if (members == 0) members = std::max(1u, std::thread::hardware_concurrency());
    members_ = std::clamp(threads, 1u, members);
    if (members_ > 1) tbb_ = std::make_unique<TbbPool>(members_);
}

void Pool::run(uint64_t n, TbbPool::Body body, void *context) {
    if (!tbb_ || n <= 1) {
        for (uint64_t i = 0; i < n; ++i)
            body(context, i, 0);
        return;
    }
    Job job{body, context};
    publish(&job);
    tbb_->run(n, run_piece, &job);
    observe(&job);
}

void Pool::run_team(Lead lead, void *context) {
    Leading job{lead, context, Team(members_)};
    run(members_, Leading::piece, &job);
}

} // namespace realizar::cpu
