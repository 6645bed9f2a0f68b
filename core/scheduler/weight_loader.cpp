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

// Calls each(first row, rows, bytes) for pieces of whole rows.
template <class Each>
Status each_piece(const WeightBytes &source, uint64_t stored_row, const Each &each) {
    const uint64_t piece = std::max<uint64_t>(1, kPieceBytes / std::max<uint64_t>(1, stored_row));
    uint64_t row = 0;
    for (const auto part : source.parts) {
        const uint64_t end = row + part.size() / stored_row;
        for (uint64_t at = 0; row < end;) {
            const uint64_t count = std::min(piece, end - row);
            RZ_TRY(each(row, count, part.subspan(at, count * stored_row)));
            at += count * stored_row;
            row += count;
        }
    }
    return {};
}

// One tensor: as stored in pieces of whole rows, or decoded to F32 where the graph wants that.
Status load_tensor(Weights &weights, const rz_tensor &tensor, const RunnerOptions &options,
                   uint64_t &done, uint64_t total) {
    RZ_ASSIGN(const WeightBytes source, options.weights(tensor.key));
    const Rows rows = rows_of(tensor);
    const uint64_t stored_row = row_bytes(source.dtype, rows.elements);
    uint64_t found = 0;
    bool whole = true;
    for (const auto part : source.parts) {
        found += part.size();
        whole = whole && part.size() % stored_row == 0;
    }
    if (!whole || found != stored_row * rows.count)
        return make_error(Code::internal, "weight_size",
                          "weight '%s': expected %llu bytes, found %llu",
                          tensor.name ? tensor.name : "?",
                          static_cast<unsigned long long>(stored_row * rows.count),
                          static_cast<unsigned long long>(found));
    const bool decode = static_cast<uint32_t>(source.dtype) != tensor.dtype;
    std::vector<float> decoded;
    const auto load = [&](uint64_t row, uint64_t count,
                          std::span<const std::byte> bytes) -> Status {
        if (decode) {
            decoded.resize(count * rows.elements);
            RZ_TRY(decode_rows(source.dtype, bytes, decoded, rows.elements));
            RZ_TRY(weights.load(tensor.key, row, count, std::as_bytes(std::span(decoded)), 0));
        } else {
            RZ_TRY(weights.load(tensor.key, row, count, bytes, RZ_LOAD_STABLE));
        }
        done += row_bytes(static_cast<DType>(tensor.dtype), count * rows.elements);
        return report(options, done, total);
    };
    return each_piece(source, stored_row, load);
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
                                   const RunnerOptions &options, std::optional<uint64_t> spare,
                                   uint64_t &done, uint64_t total) {
    const rz_graph view = graph.view();
    LoadedWeights loaded;
    RZ_ASSIGN(loaded.plan, Weights::plan(device, view));
    constexpr uint64_t kUnlimited = 0, kLeast = 1;
    const uint64_t budget = spare ? std::max(loaded.plan.resident + *spare, kLeast) : kUnlimited;
    RZ_ASSIGN(loaded.weights, Weights::create(device, view, budget));
    for (size_t i = 0; i < graph.tensors().size(); ++i) {
        if (!owns_weight(graph, i)) continue;
        const rz_tensor &tensor = graph.tensors()[i];
        RZ_TRY(load_tensor(loaded.weights, tensor, options, done, total));
        // Where the plugin makes copies, most source pages are not needed again; the few that it goes
        // on reading in place come back from the page cache.
        if (loaded.plan.resident > 0 && options.release) {
            RZ_ASSIGN(const WeightBytes source, options.weights(tensor.key));
            for (const auto part : source.parts)
                options.release(part);
        }
    }
    RZ_TRY(loaded.weights.finish());
    return loaded;
}

} // namespace realizar
