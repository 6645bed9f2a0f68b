#include "plugins/vulkan/queue.h"

#include <algorithm>

using namespace realizar::vulkan;

rz_queue::rz_queue(rz_device &device)
    : device_(device), progress_(std::make_shared<Progress>(device.gpu)) {
    const std::lock_guard lock(device.mutex);
    device.queues.push_back(this);
}

rz_queue::~rz_queue() {
    std::unique_lock lock(device_.mutex);
    for (;;) {
        device_.progress();
        if (works_.empty()) break;
        device_.wait(lock, nullptr, UINT64_MAX);
    }
    std::erase(device_.queues, this);
}

bool rz_queue::signals(const rz_timeline *timeline) const {
    for (size_t i = 0; i < running_; ++i)
        for (const rz_point &point : works_[i].signals)
            if (point.timeline == timeline) return true;
    return false;
}

rz_code rz_queue::submit(const rz_submit &submit, rz_error *err) {
    const std::lock_guard lock(device_.mutex);
    Submission work;
    if (!spare_.empty()) {
        work = std::move(spare_.back());
        spare_.pop_back();
    }
    const rz_code code = read_submit(submit, work, err);
    if (code != RZ_OK) {
        spare_.push_back(std::move(work));
        return code;
    }
    works_.push_back(std::move(work));
    device_.progress();
    return RZ_OK;
}

bool rz_queue::progress() {
    bool moved = finish_done();
    while (start_next())
        moved = true;
    return moved;
}

bool rz_queue::finish_done() {
    if (running_ == 0) return false;
    uint64_t reached = 0;
    rz_code code = RZ_OK;
    std::string message;
    try {
        reached = progress_->reached();
    } catch (const Failure &failure) {
        code = failure.code;
        message = failure.message;
        reached = started_;
    }
    const bool moved = finished_ < reached;
    for (; finished_ < reached; ++finished_) {
        Submission &work = works_.front();
        work.instance->busy = false;
        --running_;
        std::string why = message;
        const rz_code result = code == RZ_OK ? check_chain(work, why) : code;
        if (result == RZ_BUSY) continue; // once more
        if (result == RZ_OK) finish(work);
        settle(work, result, why);
    }
    return moved;
}

// Of a work that the device has ended: RZ_BUSY if it shall start again.
rz_code rz_queue::check_chain(const Submission &work, std::string &message) {
    const bool spoiled = spoiled_ > 0;
    if (spoiled) --spoiled_;
    if (!spoiled && !work.instance->gave_up()) return RZ_OK;
    rz_program &program = work.instance->program;
    device_.gpu.stop_chains();
    program.restore_constants();
    if (!spoiled && running_ == 0 && program.repeatable) return RZ_BUSY;
    if (!spoiled) spoiled_ = running_;
    message = "a chain of kernels gave up, and what came behind it cannot run again";
    return RZ_INTERNAL;
}

// Works behind the running ones, while they can start. A work that fails is settled at its turn.
bool rz_queue::start_next() {
    if (running_ == works_.size()) return false;
    Submission &work = works_[running_];
    for (const rz_point &point : work.waits) {
        if (point.timeline->failure != RZ_OK) {
            if (running_) return false; // signals fire in order
            settle(work, point.timeline->failure, point.timeline->message);
            return true;
        }
        if (!point.timeline->reached(point.value)) return false;
    }
    if (work.instance->busy) return false;
    try {
        start(work);
    } catch (const Failure &failure) {
        fail_behind_running(failure);
        return true;
    }
    device_.changed.notify_all();
    return true;
}

// The next work has failed to start; signals fire in order, so those before it end first.
void rz_queue::fail_behind_running(const Failure &failure) {
    while (running_) {
        try {
            progress_->wait(started_, UINT64_MAX);
        } catch (const Failure &) { // finish_done meets it, too
        }
        finish_done();
    }
    settle(works_.front(), failure.code, failure.message);
}

void rz_queue::start(Submission &work) {
    Counters &counters = device_.gpu.counters();
    work.instance->prepare(work.steps, work.chains);
    for (const Submission::Piece &p : work.updates) {
        work.instance->update(p.tensor, p.step, p.offset, work.bytes.data() + p.staged, p.size);
        counters.bytes_written += p.size;
    }
    copies_.clear();
    for (const Submission::Piece &p : work.reads)
        if (!work.in_place(p)) copies_.push_back({p.tensor, p.step, p.offset, p.size});
    const Recording &recording = work.instance->recording(work.symbols, work.steps, copies_);
    device_.gpu.submit(*recording.commands, *progress_, started_ + 1);
    ++started_;
    ++running_;
    work.instance->busy = true;
    ++counters.submissions;
    counters.dispatches += recording.dispatches;
    counters.barriers += recording.barriers;
}

void rz_queue::finish(Submission &work) {
    if (device_.gpu.settings().profile) work.instance->collect_times();
    uint64_t at = 0;
    for (const Submission::Piece &p : work.reads) {
        const std::byte *from = work.in_place(p);
        if (from) {
            device_.gpu.copy_by_threads(p.to, from + p.offset, p.size);
        } else {
            device_.gpu.copy_by_threads(p.to, work.instance->readback() + at, p.size);
            at += align_up(p.size, kCopyAlignment);
        }
        device_.gpu.counters().bytes_read += p.size;
    }
}

// Fires the signals of the first work and takes it off.
void rz_queue::settle(Submission &work, rz_code code, const std::string &message) {
    for (const rz_point &point : work.signals) {
        if (code == RZ_OK)
            point.timeline->advance(point.value);
        else
            point.timeline->fail(code, message);
    }
    spare_.push_back(std::move(work));
    works_.pop_front();
}

namespace realizar::vulkan {

namespace {

rz_code create(rz_device *device, rz_queue **out, rz_error *err) {
    return guarded(err, [&] {
        if (!device || !out)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "queue.create: NULL argument");
        *out = new rz_queue(*device);
        return RZ_OK;
    });
}

rz_code submit(rz_queue *queue, const rz_submit *submission, rz_error *err) {
    return guarded(err, [&] {
        if (!queue || !submission)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "queue.submit: NULL argument");
        return queue->submit(*submission, err);
    });
}

void destroy(rz_queue *queue) { delete queue; }

} // namespace

const rz_queue_api kQueueApi = {sizeof(rz_queue_api), 0, create, submit, destroy};

} // namespace realizar::vulkan
