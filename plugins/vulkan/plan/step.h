// A step is one dispatch of a kernel. A plan is a list of steps; recording runs through them with
// the symbol values of a submission.
#pragma once

#include "plugins/vulkan/plan/view.h"
#include "plugins/vulkan/vk/gpu.h"

#include <memory>

namespace realizar::vulkan {

// Where a storage lives for an instance.
struct Place {
    uint64_t address = 0; // 0: a state that is not bound
    VkBuffer buffer = VK_NULL_HANDLE;
    uint64_t offset = 0;       // in `buffer`
    std::byte *host = nullptr; // null: the host cannot see it
};

struct Access {
    View view;
    bool write;
};

class Recorder;

class Step {
  public:
    virtual ~Step() = default;
    virtual void record(Recorder &r) const = 0;
    // After bindings have changed: fills the step's table (Planner::table), if it has one.
    virtual void fill_table(std::span<const Place>) const {}

    void reads(const View &view) { accesses.push_back({view, false}); }
    void writes(const View &view) { accesses.push_back({view, true}); }
    std::vector<Access> accesses;
};

struct Grid {
    uint32_t x = 1, y = 1, z = 1;
};
// Workgroups of `size` for `n` threads; kernels loop where the limit cuts the grid short.
constexpr uint32_t kMaxGroups = 65535; // what every device has
inline uint32_t groups_for(uint64_t n, uint32_t size) {
    const uint64_t groups = (n + size - 1) / size;
    return static_cast<uint32_t>(groups < kMaxGroups ? groups : kMaxGroups);
}

// Writes steps into a command buffer and puts a barrier where a step touches bytes that one since the
// last barrier wrote, or writes bytes that one read. Between kernels that can be in a chain the later one
// waits itself, if there is a counter for that.
class Recorder {
  public:
    // `times`: null, or where the time of each dispatch is noted. `counter`: address of a chain's
    // counter, zero when the commands start; 0: barriers only.
    Recorder(Gpu &gpu, VkCommandBuffer commands, std::span<const Place> places, Symbols values,
             Timestamps *times = nullptr, uint64_t counter = 0)
        : symbols(values), gpu_(gpu), commands_(commands), places_(places), times_(times),
          counter_(counter) {}

    void record(const Step &step) {
        step_ = &step;
        step.record(*this);
    }

    // Where storages are from here on.
    void use(std::span<const Place> places) { places_ = places; }
    const Features &features() const { return gpu_.features(); }
    uint32_t cores() const { return gpu_.physical().cores; }
    const Tuning &tuning() const { return gpu_.settings().tuning; }
    // Bytes that the next dispatch reads, for a profile.
    void expect_bytes(uint64_t bytes) { bytes_ = bytes; }
    uint64_t address(const View &view) const {
        return places_[view.storage()].address + view.offset();
    }
    Rows rows(const View &view) const {
        return {address(view), view.stride(0), view.stride(1), view.stride(2), 0};
    }
    // Nothing happens if a dimension of the grid is 0.
    template <class Params>
    void dispatch(const std::string &shader, std::initializer_list<uint32_t> constants,
                  const Params &params, Grid grid) {
        dispatch(shader, std::span(constants.begin(), constants.size()), params, grid);
    }
    template <class Params>
    void dispatch(const std::string &shader, std::span<const uint32_t> constants,
                  const Params &params, Grid grid) {
        static_assert(sizeof(Params) <= kPushBytes);
        if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
        synchronise(false);
        dispatch(shader, constants, &params, sizeof(params), grid);
    }
    // The same for a kernel whose form for chains has the suffix "_chain".
    template <class Params>
    void dispatch_linked(const std::string &shader, std::span<const uint32_t> constants,
                         const Params &params, Grid grid) {
        static_assert(sizeof(Params) <= kPushBytes);
        const std::string chained = shader + "_chain";
        if (counter_ == 0 || !Pipelines::has(chained))
            return dispatch(shader, constants, params, grid);
        if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
        Params own = params;
        own.link = link(grid);
        dispatch(chained, constants, &own, sizeof(own), grid);
    }

    uint32_t dispatches() const { return dispatches_; }
    uint32_t barriers() const { return barriers_; }
    // What the chain's counter is at the end; 0: there was no chain.
    uint32_t linked() const { return linked_; }

    const Symbols symbols;

  private:
    struct Range {
        uint64_t begin, end;
    };
    static bool overlaps(const std::vector<Range> &ranges, const Range &range);
    void synchronise(bool linked);
    Link link(Grid grid);
    void note(const std::string &shader, std::span<const uint32_t> constants, Grid grid);
    void dispatch(const std::string &shader, std::span<const uint32_t> constants,
                  const void *params, uint32_t size, Grid grid);

    Gpu &gpu_;
    VkCommandBuffer commands_;
    std::span<const Place> places_;
    const Step *step_ = nullptr;
    std::vector<Range> read_, written_; // since the last barrier
    VkPipeline bound_ = VK_NULL_HANDLE;
    uint32_t dispatches_ = 0, barriers_ = 0;
    Timestamps *times_;
    uint64_t bytes_ = 0;
    const uint64_t counter_;
    uint32_t linked_ = 0;  // workgroups of the chain so far
    uint32_t awaited_ = 0; // of them, those that the next dispatch waits for; 0: a barrier did
    bool plain_ = false;   // a dispatch outside the chain since the last barrier
};

} // namespace realizar::vulkan
