#include "core/scheduler/weight_loader.h"

#include "core/quant/codec.h"

#include <algorithm>

namespace realizar {
namespace {

// Large enough to amortise a call, small enough for a smooth progress bar and prompt cancellation.
constexpr uint64_t kPieceBytes = 16u << 20;

struct Rows {
    uint64_t count, elements; // rows of a tensor and elements of one row
};

Rows rows_of(const rz_tensor &tensor) {
    Rows rows{1, static_cast<uint64_t>(tensor.dims[tensor.rank - 1])};
    for (uint32_t i = 0; i + 1 < tensor.rank; ++i)
        rows.count *= static_cast<uint64_t>(tensor.dims[i]);
    return rows;
}

bool owns_weight(const Graph &graph, size_t index) {
    const rz_tensor &tensor = graph.tensors()[index];
    return tensor.role == RZ_ROLE_WEIGHT && tensor.storage == index;
}

Status report(const RunnerOptions &options, uint64_t done, uint64_t total) {
    if (!options.progress || options.progress(done, total)) return {};
    return make_error(Code::cancelled, "cancelled", "loading was cancelled");
}

// One tensor: as stored in pieces of whole rows, or decoded to F32 where the graph wants that.
Status load_tensor(Weights &weights, const rz_tensor &tensor, const RunnerOptions &options,
                   uint64_t &done, uint64_t total) {
    RZ_ASSIGN(const WeightBytes source, options.weights(tensor.key));
    const Rows rows = rows_of(tensor);
    const uint64_t stored_row = row_bytes(source.dtype, rows.elements);
    if (source.bytes.size() != stored_row * rows.count)
        return make_error(
            Code::internal, "weight_size", "weight '%s': expected %llu bytes, found %zu",
            tensor.name ? tensor.name : "?",
            static_cast<unsigned long long>(stored_row * rows.count), source.bytes.size());
    const bool decode = static_cast<uint32_t>(source.dtype) != tensor.dtype;
    const uint64_t piece = std::max<uint64_t>(1, kPieceBytes / std::max<uint64_t>(1, stored_row));
    std::vector<float> decoded;
    for (uint64_t row = 0; row < rows.count; row += piece) {
        const uint64_t count = std::min(piece, rows.count - row);
        const auto bytes = source.bytes.subspan(row * stored_row, count * stored_row);
        if (decode) {
            decoded.resize(count * rows.elements);
            RZ_TRY(decode_rows(source.dtype, bytes, decoded, rows.elements));
            RZ_TRY(weights.load(tensor.key, row, count, std::as_bytes(std::span(decoded)), 0));
        } else {
            RZ_TRY(weights.load(tensor.key, row, count, bytes, RZ_LOAD_STABLE));
        }
        done += row_bytes(static_cast<DType>(tensor.dtype), count * rows.elements);
        RZ_TRY(report(options, done, total));
    }
    return {};
}

} // namespace

uint64_t weight_source_bytes(const Graph &graph) {
    uint64_t total = 0;
    for (size_t i = 0; i < graph.tensors().size(); ++i) {
        if (!owns_weight(graph, i)) continue;
        const Rows rows = rows_of(graph.tensors()[i]);
        total +=
            row_bytes(static_cast<DType>(graph.tensors()[i].dtype), rows.elements) * rows.count;
    }
    return total;
}

Result<LoadedWeights> load_weights(const DevicePtr &device, const Graph &graph,
                                   const RunnerOptions &options, uint64_t &done, uint64_t total) {
    const rz_graph view = graph.view();
    LoadedWeights loaded;
    RZ_ASSIGN(loaded.plan, Weights::plan(device, view));
    RZ_ASSIGN(loaded.weights, Weights::create(device, view, 0));
    for (size_t i = 0; i < graph.tensors().size(); ++i) {
        if (!owns_weight(graph, i)) continue;
        const rz_tensor &tensor = graph.tensors()[i];
        RZ_TRY(load_tensor(loaded.weights, tensor, options, done, total));
        // Where the plugin makes copies, most source pages are not needed again; the few that it goes
        // on reading in place come back from the page cache.
        if (loaded.plan.resident > 0 && options.release) {
            RZ_ASSIGN(const WeightBytes source, options.weights(tensor.key));
            options.release(source.bytes);
        }
    }
    RZ_TRY(loaded.weights.finish());
    return loaded;
}

} // namespace realizar
