// Runs submissions in order: on the caller's thread when all waits are reached and nothing is
// queued, else on the queue's own thread, which is started when first needed.
#pragma once

#include "plugins/cpu/instance.h"
#include "plugins/cpu/timeline.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace realizar::cpu {

// A checked submission. Vectors keep their memory, so a warm queue allocates nothing.
struct Work {
    struct Piece {
        uint32_t tensor;
        uint64_t offset, size;
        const void *from; // updates
        void *to;         // reads
    };
    rz_instance *instance = nullptr;
    std::vector<int64_t> symbols;
    std::vector<Piece> updates, reads;
    std::vector<rz_point> waits, signals;
    std::vector<std::byte> staged; // bytes of the updates when the work runs later
};

} // namespace realizar::cpu

struct rz_queue {
    explicit rz_queue(rz_device &owner) : device(owner) {}
    ~rz_queue();

    rz_code submit(const rz_submit &submit, rz_error *err);

  private:
    bool can_run_now() const;
    void defer();
    void serve();

    rz_device &device;
    realizar::cpu::Work now_; // of submit; calls on a queue never overlap
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<realizar::cpu::Work> later_; // the front one is running
    bool closing_ = false;
    std::thread thread_;
};

namespace realizar::cpu {
extern const rz_queue_api kQueueApi;
} // namespace realizar::cpu
