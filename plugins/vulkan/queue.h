// Submissions in order. One goes to the device when all its waits are reached, its instance is idle
// and all before it have gone; the host takes in the results when somebody asks (rz_device::progress).
#pragma once

#include "plugins/vulkan/submission.h"

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
    std::shared_ptr<realizar::vulkan::Progress> watched() const { return progress_; }
    uint64_t next_value() const { return finished_ + 1; } // of the oldest running one

  private:
    using Submission = realizar::vulkan::Submission;
    bool finish_done();
    bool start_next();
    void start(Submission &work);
    void fail_behind_running(const realizar::vulkan::Failure &failure);
    void finish(Submission &work);
    rz_code check_chain(const Submission &work, std::string &message);
    void settle(Submission &work, rz_code code, const std::string &message);

    rz_device &device_;
    std::shared_ptr<realizar::vulkan::Progress> progress_;
    std::deque<Submission> works_;  // the first running_ are on the device
    std::vector<Submission> spare_; // ended ones, for their memory
    std::vector<realizar::vulkan::Copy> copies_;
    size_t running_ = 0;
    size_t spoiled_ = 0;                  // of them, those behind one whose chain gave up
    uint64_t started_ = 0, finished_ = 0; // values of progress_
};

namespace realizar::vulkan {
extern const rz_queue_api kQueueApi;
} // namespace realizar::vulkan
