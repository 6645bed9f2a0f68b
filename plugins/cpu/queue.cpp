#include "plugins/cpu/queue.h"

#include "plugins/common/submit.h"

#include <algorithm>
#include <cstring>

namespace realizar::cpu {

namespace {

rz_code read_submit(const rz_submit &s, Work &work, rz_error *err) {
    rz_code code = plugin::check_submit_struct(s, err);
    if (code != RZ_OK) return code;
    const rz_instance &instance = *s.instance;
    code = plugin::check_submit(s,
                                {instance.program.region, instance.program.tensor_count,
                                 [&](uint32_t i) { return instance.bases[i] != nullptr; },
                                 [](const rz_timeline *timeline) { return timeline->value(); }},
                                err);
    if (code != RZ_OK) return code;
    work.instance = s.instance;
    work.symbols.assign(s.symbols, s.symbols + s.symbol_count);
    work.updates.clear();
    work.reads.clear();
    for (uint32_t i = 0; i < s.update_count; ++i) {
        const rz_update &in = element(s.updates, s.update_stride, i);
        if (in.size) work.updates.push_back({in.tensor, in.offset, in.size, in.data, nullptr});
    }
    for (uint32_t i = 0; i < s.read_count; ++i) {
        const rz_read &in = element(s.reads, s.read_stride, i);
        if (in.size) work.reads.push_back({in.tensor, in.offset, in.size, nullptr, in.data});
    }
    work.waits.assign(s.waits, s.waits + s.wait_count);
    work.signals.assign(s.signals, s.signals + s.signal_count);
    return RZ_OK;
}

void run(const Work &work, rz_device &device) {
    rz_instance &instance = *work.instance;
    const rz_program &program = instance.program;
    const std::lock_guard lock(instance.running);
    uint64_t written = 0, read = 0;
    for (const Work::Piece &p : work.updates) {
        std::memcpy(instance.bases[p.tensor] + p.offset, p.from, p.size);
        written += p.size;
    }
    const Run run{
        .symbols = work.symbols.data(),
        .bases = instance.bases.data(),
        .scratch = instance.memory.data() + program.layout.bytes,
        .worker_bytes = program.worker_bytes,
        .kernels = &device.driver.kernels,
        .threads = device.driver.pool.threads(),
    };
    run_schedule(program.phases, run, device.driver.pool, device.counters);
    for (const Work::Piece &p : work.reads) {
        std::memcpy(p.to, instance.bases[p.tensor] + p.offset, p.size);
        read += p.size;
    }
    device.counters.submissions.fetch_add(1, std::memory_order_relaxed);
    device.counters.bytes_written.fetch_add(written, std::memory_order_relaxed);
    device.counters.bytes_read.fetch_add(read, std::memory_order_relaxed);
}

// Runs the work or fails it; either way its signals fire.
void settle(const Work &work, rz_device &device, rz_code code, const std::string &message) {
    std::string why = message;
    if (code == RZ_OK) {
        rz_error error = {};
        error.struct_size = sizeof(error);
        code = guarded(&error, [&] {
            run(work, device);
            return RZ_OK;
        });
        if (code != RZ_OK) why = error.message;
    }
    for (const rz_point &p : work.signals) {
        if (code == RZ_OK)
            p.timeline->advance(p.value);
        else
            p.timeline->fail(code, why);
    }
}

} // namespace

} // namespace realizar::cpu

using realizar::cpu::Work;

rz_queue::~rz_queue() {
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
        changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
}

bool rz_queue::can_run_now() const {
    {
        const std::lock_guard lock(mutex_);
        if (!later_.empty()) return false;
    }
    return std::all_of(now_.waits.begin(), now_.waits.end(),
                       [](const rz_point &p) { return p.timeline->reached(p.value); });
}

rz_code rz_queue::submit(const rz_submit &submit, rz_error *err) {
    const rz_code code = realizar::cpu::read_submit(submit, now_, err);
    if (code != RZ_OK) return code;
    if (can_run_now())
        realizar::cpu::settle(now_, device, RZ_OK, {});
    else
        defer();
    return RZ_OK;
}

// The updates' bytes move into the work, because the caller's end with this call.
void rz_queue::defer() {
    Work work = now_;
    uint64_t size = 0;
    for (const Work::Piece &p : work.updates)
        size += p.size;
    work.staged.resize(size);
    std::byte *to = work.staged.data();
    for (Work::Piece &p : work.updates) {
        std::memcpy(to, p.from, p.size);
        p.from = to;
        to += p.size;
    }
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable()) thread_ = std::thread([this] { serve(); });
    later_.push_back(std::move(work));
    changed_.notify_all();
}

void rz_queue::serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [&] { return closing_ || !later_.empty(); });
        if (later_.empty()) return;
        const Work &work = later_.front(); // push_back leaves it in place
        lock.unlock();
        rz_error error = {};
        error.struct_size = sizeof(error);
        rz_code code = RZ_OK;
        for (size_t i = 0; code == RZ_OK && i < work.waits.size(); ++i)
            code = work.waits[i].timeline->wait(work.waits[i].value, UINT64_MAX, &error);
        realizar::cpu::settle(work, device, code, error.message);
        lock.lock();
        later_.pop_front();
    }
}

namespace realizar::cpu {

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

} // namespace realizar::cpu
