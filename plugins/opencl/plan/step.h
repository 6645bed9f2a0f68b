// A step is a launch of a kernel, or a few. A plan is a list of steps; recording runs through them with
// the symbol values of a submission. The queue is in order, so a step sees what the ones before wrote.
#pragma once

#include "plugins/common/contract.h"
#include "plugins/common/view.h"
#include "plugins/opencl/cl/gpu.h"
#include "plugins/opencl/kernels/params.h"

#include <functional>

namespace realizar::opencl {

using plugin::Node;
using plugin::Region;
using plugin::Symbols;
using plugin::Tensor;
using plugin::View;

constexpr uint64_t kPlaceAlignment = 256;

// Where a storage lives for an instance.
struct Place {
    cl_mem buffer = nullptr; // null: a state that is not bound
    uint64_t offset = 0;
};

struct Grid {
    uint64_t x = 1, y = 1, z = 1; // workgroups
};
// Workgroups of `size` for `n` threads; kernels loop where the limit cuts the grid short.
constexpr uint64_t kMaxGroups = 65535;
inline uint64_t groups_for(uint64_t n, uint32_t size) {
    const uint64_t groups = (n + size - 1) / size;
    return groups < kMaxGroups ? groups : kMaxGroups;
}

// Turns steps into launches.
class Recorder {
  public:
    // `room`: for CLBlast; null: none. `dry`: places only tell storages apart; what is recorded cannot
    // run, but its programs are built.
    Recorder(Gpu &gpu, std::span<const Place> places, Symbols values, std::vector<Launch> &out,
             cl_mem room = nullptr, bool dry = false)
        : symbols(values), gpu_(gpu), places_(places), out_(out), room_(room), dry_(dry) {}

    const Features &features() const { return gpu_.features(); }
    const Tuning &tuning() const { return gpu_.tuning(); }
    // A GPU wants many short threads, a CPU few long ones.
    bool on_cpu() const { return gpu_.physical().kind == RZ_DEVICE_CPU; }
    uint32_t units() const { return features().units; }

    cl_mem buffer(const View &view) const { return places_[view.storage()].buffer; }
    uint64_t at(const View &view) const { return places_[view.storage()].offset + view.offset(); }
    Rows rows(const View &view) const {
        return {at(view), view.stride(0), view.stride(1), view.stride(2), 0};
    }

    // The kernel of kernels/NAME.cl with `params` as its first argument and `buffers` as the others.
    // Nothing happens if a dimension of the grid is 0.
    template <class Params>
    void launch(const char *name, const std::string &options, const Params &params,
                std::initializer_list<cl_mem> buffers, Grid grid) {
        launch(name, options, {&params, sizeof(params)}, std::vector<cl_mem>(buffers), grid);
    }
    // The same for a kernel with kernels/buffers.h: `alone` as arguments of their own, then each buffer of
    // `joined` once. Decoding waits for the host's calls, which take some 0.4 us for each argument.
    template <class Params>
    void launch_joined(const char *name, const std::string &options, const Params &params,
                       std::initializer_list<cl_mem> alone, std::initializer_list<cl_mem> joined,
                       Grid grid) {
        std::vector<cl_mem> buffers(alone);
        const std::string slots = join(joined, buffers);
        launch(name, options + slots, {&params, sizeof(params)}, buffers, grid);
    }

    void call(const char *name, std::function<void(cl_command_queue, cl_event *)> call);
    // What `record` records, run and timed now (Gpu::time). All its buffers must have places, and what it
    // writes must be dead.
    uint64_t time(const std::function<void(Recorder &)> &record) const;

    Gpu &gpu() const { return gpu_; }
    cl_mem room() const { return room_; }
    bool dry() const { return dry_; }

    const Symbols symbols;

  private:
    struct Bytes {
        const void *data;
        size_t size;
    };
    void launch(const char *name, const std::string &options, Bytes params,
                const std::vector<cl_mem> &buffers, Grid grid);
    // Appends each of `operands` once and says which is which.
    static std::string join(std::span<const cl_mem> operands, std::vector<cl_mem> &buffers);

    Gpu &gpu_;
    std::span<const Place> places_;
    std::vector<Launch> &out_;
    cl_mem room_;
    bool dry_;
};

struct Step {
    std::vector<View> touches; // scratch lives from the first to the last step that touches it
    std::function<void(Recorder &)> record;
};

} // namespace realizar::opencl
