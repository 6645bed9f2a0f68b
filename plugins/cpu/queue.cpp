#include "plugins/cpu/queue.h"

#include <algorithm>
#include <cstring>

namespace realizar::cpu {

namespace {

unsigned long long wide(uint64_t n) { return n; }

rz_code check_symbols(const Region &region, const rz_submit &s, rz_error *err) {
    if (s.symbol_count != region.symbols.size() || (s.symbol_count && !s.symbols))
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: expected %zu symbols, found %u",
                    region.symbols.size(), s.symbol_count);
    for (uint32_t i = 0; i < s.symbol_count; ++i) {
        const Symbol &symbol = region.symbols[i];
        if (s.symbols[i] < symbol.min || s.symbols[i] > symbol.max)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "submit: symbol %u: expected %lld..%lld, found %lld", i,
                        static_cast<long long>(symbol.min), static_cast<long long>(symbol.max),
                        static_cast<long long>(s.symbols[i]));
    }
    return RZ_OK;
}

// A range of a tensor at this submission's sizes.
rz_code check_piece(const rz_program &program, const int64_t *symbols, const Work::Piece &p,
                    const char *what, rz_error *err) {
    const Region &region = program.region;
    const bool read = p.to != nullptr;
    bool known = p.tensor < program.tensor_count && !region.tensors[p.tensor].is_view(p.tensor);
    if (known && read)
        known = std::find(region.outputs.begin(), region.outputs.end(), p.tensor) !=
                region.outputs.end();
    else if (known)
        known = region.tensors[p.tensor].role == RZ_ROLE_INPUT;
    if (!known)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: tensor %u cannot be %s", p.tensor,
                    what);
    const Tensor &t = region.tensors[p.tensor];
    const auto size = static_cast<uint64_t>(t.extent(t.dim0(symbols)));
    if (p.offset > size || p.size > size - p.offset)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                    "submit: %s has %llu bytes, %llu at %llu cannot be %s", t.name.c_str(),
                    wide(size), wide(p.size), wide(p.offset), what);
    return RZ_OK;
}

template <class T, class Pointer>
rz_code read_pieces(const rz_program &program, const rz_submit &s, const T *array, uint32_t count,
                    uint32_t stride, Pointer pointer, const char *what,
                    std::vector<Work::Piece> &out, rz_error *err) {
    out.clear();
    if (count && (!array || stride < sizeof(T)))
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: the array of what is %s is wrong",
                    what);
    for (uint32_t i = 0; i < count; ++i) {
        const T &in = element(array, stride, i);
        rz_code code = check_struct(&in, sizeof(T), 0, "rz_update or rz_read", err);
        if (code != RZ_OK) return code;
        Work::Piece piece = {in.tensor, in.offset, in.size, nullptr, nullptr};
        pointer(in, piece);
        if (in.size && !in.data)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: data of tensor %u is NULL",
                        in.tensor);
        code = check_piece(program, s.symbols, piece, what, err);
        if (code != RZ_OK) return code;
        if (in.size) out.push_back(piece);
    }
    return RZ_OK;
}

rz_code read_points(const rz_point *points, uint32_t count, bool must_rise,
                    std::vector<rz_point> &out, rz_error *err) {
    if (count && !points)
        return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: an array of points is NULL");
    out.assign(points, points + count);
    for (const rz_point &p : out) {
        if (!p.timeline)
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: a timeline is NULL");
        if (must_rise && p.value <= p.timeline->value())
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE,
                        "submit: expected a signal above %llu, found %llu",
                        wide(p.timeline->value()), wide(p.value));
    }
    return RZ_OK;
}

rz_code read_submit(const rz_submit &s, Work &work, rz_error *err) {
    rz_code code = check_struct(&s, sizeof(rz_submit), 0, "rz_submit", err);
    if (code != RZ_OK) return code;
    if (!s.instance) return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: the instance is NULL");
    const rz_program &program = s.instance->program;
    const Region &region = program.region;
    work.instance = s.instance;
    code = check_symbols(region, s, err);
    if (code != RZ_OK) return code;
    work.symbols.assign(s.symbols, s.symbols + s.symbol_count);
    for (uint32_t i = 0; i < program.tensor_count; ++i)
        if (region.tensors[i].role == RZ_ROLE_STATE && !region.tensors[i].is_view(i) &&
            !s.instance->bases[i])
            return fail(err, RZ_INVALID_ARGUMENT, RZ_NONE, "submit: state %s is not bound",
                        region.tensors[i].name.c_str());
    code = read_pieces(
        program, s, s.updates, s.update_count, s.update_stride,
        [](const rz_update &in, Work::Piece &p) { p.from = in.data; }, "updated", work.updates,
        err);
    if (code == RZ_OK)
        code = read_pieces(
            program, s, s.reads, s.read_count, s.read_stride,
            [](const rz_read &in, Work::Piece &p) { p.to = in.data; }, "read", work.reads, err);
    if (code == RZ_OK) code = read_points(s.waits, s.wait_count, false, work.waits, err);
    if (code == RZ_OK) code = read_points(s.signals, s.signal_count, true, work.signals, err);
    return code;
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
