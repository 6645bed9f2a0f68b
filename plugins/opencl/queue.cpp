#include "plugins/opencl/queue.h"

#include <algorithm>
#include <cstring>

using namespace realizar::opencl;

rz_queue::rz_queue(rz_device &device) : device_(device) {
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
    bool moved = false;
    while (running_) {
        Submission &work = works_.front();
        rz_code code = RZ_OK;
        std::string message;
        try {
            if (!device_.gpu.done(*work.end)) break;
        } catch (const Failure &failure) {
            code = failure.code;
            message = failure.message;
        }
        if (code == RZ_OK) finish(work);
        work.instance->busy = false;
        --running_;
        settle(work, code, message);
        moved = true;
    }
    return moved;
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

// The next work has failed to start; signals fire in order, so those before it end first. What it had
// queued already must not outlive it.
void rz_queue::fail_behind_running(const Failure &failure) {
    try {
        device_.gpu.finish();
    } catch (const Failure &) { // finish_done meets it, too
    }
    finish_done();
    settle(works_.front(), failure.code, failure.message);
}

void rz_queue::start(Submission &work) {
    Gpu &gpu = device_.gpu;
    Counters &counters = gpu.counters();
    rz_instance &instance = *work.instance;
    gpu.count_submission();
    instance.prepare(work.steps);
    for (const Submission::Piece &p : work.updates) {
        const std::byte *bytes = work.bytes.data() + p.staged;
        if (instance.owns_input(p.tensor))
            instance.update(p.tensor, p.step, p.offset, bytes, p.size);
        else
            gpu.queue_write(instance.place(p.tensor).buffer,
                            instance.place(p.tensor).offset + p.offset, bytes, p.size);
        counters.bytes_written += p.size;
    }
    instance.queue_updates(work.steps);
    const Recording &recording = instance.recording(work.symbols);
    work.results = work.result_bytes ? instance.readback(work.result_bytes) : nullptr;
    Event last;
    for (uint32_t step = 0; step < work.steps; ++step) {
        if (work.steps > 1) instance.queue_inputs(step);
        for (const Launch &launch : recording.launches)
            gpu.queue_launch(launch);
        last = queue_results(work, step);
    }
    work.end = std::make_shared<Event>(gpu.queue_end(std::move(last)));
    ++running_;
    instance.busy = true;
    ++counters.submissions;
    counters.dispatches += work.steps * recording.launches.size();
}

// What becomes of the outputs of a step. Returns the event of the last read of the last one.
Event rz_queue::queue_results(const Submission &work, uint32_t step) {
    Event last;
    for (const Submission::Piece &p : work.reads) {
        if (p.step != step) continue;
        const Place &place = work.instance->place(p.tensor);
        last = device_.gpu.queue_read(place.buffer, place.offset + p.offset,
                                      work.results + p.staged, p.size);
    }
    if (step + 1 == work.steps) return last;
    for (const Submission::Chain &chain : work.chains)
        work.instance->queue_chain(chain.from, chain.to, step, chain.size);
    return {};
}

void rz_queue::finish(Submission &work) {
    if (device_.gpu.profiles()) device_.gpu.profile().collect(device_.gpu.api());
    for (const Submission::Piece &p : work.reads) {
        std::memcpy(p.to, work.results + p.staged, p.size);
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

namespace realizar::opencl {

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

} // namespace realizar::opencl
