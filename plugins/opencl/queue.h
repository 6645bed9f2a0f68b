// Submissions in order. One goes to the device when all its waits are reached, its instance is idle
// and all before it have gone; the host takes in the results when somebody asks (rz_device::progress).
#pragma once

#include "plugins/opencl/submission.h"

#include <deque>

// All members under rz_device::mutex.
struct rz_queue {
    explicit rz_queue(rz_device &device);
    ~rz_queue();

    rz_code submit(const rz_submit &submit, rz_error *err);
    // Takes in what has ended and starts what can start. True if anything moved.
    bool progress();

    bool running() const { return running_ > 0; }
    bool signals(const rz_timeline *timeline) const;
    // The end of the oldest running one.
    std::shared_ptr<const realizar::opencl::Event> watched() const { return works_.front().end; }

  private:
    using Submission = realizar::opencl::Submission;
    bool finish_done();
    bool start_next();
    void start(Submission &work);
    realizar::opencl::Event queue_results(const Submission &work, uint32_t step);
    void fail_behind_running(const realizar::opencl::Failure &failure);
    void finish(Submission &work);
    void settle(Submission &work, rz_code code, const std::string &message);

    rz_device &device_;
    std::deque<Submission> works_;  // the first running_ are on the device
    std::vector<Submission> spare_; // ended ones, for their memory
    size_t running_ = 0;
};

namespace realizar::opencl {
extern const rz_queue_api kQueueApi;
} // namespace realizar::opencl
