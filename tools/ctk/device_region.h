// A region on the device under test: weights, program, instance, and memory with fences around it.
#pragma once

#include "tools/ctk/region.h"
#include "tools/ctk/session.h"

#include <memory>

namespace realizar::ctk {

struct DeviceOptions {
    bool fuse = true;
    bool bind_outputs = false; // else they are read by rz_read
    bool bind_inputs = false;  // else they come by rz_update
    bool stable_weights = false;
    bool split_transfers = false; // several rz_update and rz_read for one tensor
};

// Picks the ways of memory by chance.
DeviceOptions random_options(Random &random);

class DeviceRegion {
  public:
    // Loads the WEIGHT and STATE bytes of the leaves. `leaves` must outlive the object when
    // options.stable_weights is set.
    static Result<std::unique_ptr<DeviceRegion>> create(Session &session, const Graph &graph,
                                                        const Leaves &leaves,
                                                        const DeviceOptions &options);

    // Another instance of the first one's program, with states of its own. The first must outlive it.
    static Result<std::unique_ptr<DeviceRegion>> sibling(const DeviceRegion &first,
                                                         const Leaves &leaves);

    // One submission with the INPUT bytes of the leaves. outputs[id] are the bytes of each output
    // at these symbols. Fails if the plugin wrote where it must not.
    Status run(std::span<const int64_t> symbols, const Leaves &leaves, Leaves &outputs);
    Result<Bytes> read_state(TensorId id);
    // Binds states of these contents instead of the present ones; the second form goes back to the
    // states that were bound before the last exchange.
    Status exchange_states(const Leaves &leaves);
    Status exchange_states();

    rz_instance *instance() const { return instance_.get(); }

  private:
    struct Fenced {
        TensorId tensor;
        Owned<rz_buffer> buffer{nullptr, nullptr};
        uint64_t offset = 0, size = 0;
    };
    struct Transfers;

    DeviceRegion(Session &session, const Graph &graph, const DeviceOptions &options)
        : session_(session), graph_(graph), options_(options) {}
    Status compile();
    Result<Fenced> make_fenced(TensorId id, const Bytes &contents);
    Status make_memory(const Leaves &leaves);
    Status make_instance();
    Status bind_all();
    Status check_fences();
    Status submit(std::span<const int64_t> symbols, Transfers &transfers);
    Status collect_bound(std::span<const int64_t> symbols, Leaves &outputs);
    Fenced *find(TensorId id);

    Session &session_;
    const Graph &graph_;
    DeviceOptions options_;
    // In the order that the ABI wants, last destroyed first.
    Owned<rz_timeline> timeline_{nullptr, nullptr};
    Owned<rz_queue> queue_{nullptr, nullptr};
    std::vector<Fenced> fenced_, other_states_;
    Owned<rz_weights> weights_{nullptr, nullptr};
    Owned<rz_program> own_program_{nullptr, nullptr};
    rz_program *program_ = nullptr;
    Owned<rz_instance> instance_{nullptr, nullptr};
    uint64_t submissions_ = 0;
};

// Compiles; for tests that look at the code only.
rz_code try_compile(Session &session, const rz_graph &graph, rz_weights *weights, uint32_t flags,
                    Owned<rz_program> &out, AbiError &error);
// The weights of a graph, loaded in several pieces and finished. Empty when the graph has none.
Result<Owned<rz_weights>> load_weights(Session &session, const Graph &graph, const Leaves &leaves,
                                       bool stable);

} // namespace realizar::ctk
