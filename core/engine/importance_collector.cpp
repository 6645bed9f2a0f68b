#include "core/engine/importance_collector.h"

#include <algorithm>

namespace realizar {
namespace {

// The file's tensor that a WEIGHT, or a view of it with the same columns, stands for.
const GgufTensor *source_of(const Graph &graph, TensorId id, const ModelFile &model) {
    const rz_tensor &tensor = graph.tensors()[id], &storage = graph.tensors()[tensor.storage];
    const auto file = model.gguf().tensors();
    if (storage.role != RZ_ROLE_WEIGHT || storage.key == 0 || storage.key > file.size())
        return nullptr;
    const GgufTensor &source = file[storage.key - 1];
    const bool whole_rows = tensor.dims[tensor.rank - 1] == source.dims.back();
    return source.dims.size() >= 2 && whole_rows ? &source : nullptr;
}

} // namespace

size_t ImportanceCollector::watched(GraphBuilder &builder, TensorId id) {
    const auto found = known_.find(id);
    if (found != known_.end()) return found->second;
    const Shape shape = builder.shape(id);
    Watched w;
    w.output = builder.output(id, "watched." + std::to_string(id));
    w.steps = static_cast<uint64_t>(std::max<int64_t>(shape.dims[0], 1));
    w.columns = static_cast<uint64_t>(shape.inner());
    for (uint32_t d = 1; d + 1 < shape.rank; ++d)
        w.per_step *= static_cast<uint64_t>(shape.dims[d]);
    if (shape.symbolic()) w.symbol = RZ_SYMBOL_INDEX(shape.dims[0]);
    watched_.push_back(std::move(w));
    return known_[id] = watched_.size() - 1;
}

Result<Graph> ImportanceCollector::watch(Graph graph, const ModelFile &model) {
    watched_.clear();
    products_.clear();
    known_.clear();
    struct Found {
        TensorId input, experts;
        Product product;
    };
    std::vector<Found> products;
    for (const rz_node &node : graph.nodes()) {
        const bool experts = node.op == RZ_OP_EXPERT_MATMUL;
        if (node.op != RZ_OP_MATMUL && !experts) continue;
        const GgufTensor *source = source_of(graph, node.inputs[0], model);
        if (source == nullptr) continue;
        const bool chosen = experts && node.input_count > 2 && node.inputs[2] != RZ_NONE;
        const bool many = experts && source->dims.size() > 2;
        products.push_back(
            {node.inputs[1],
             chosen ? node.inputs[2] : kNoTensor,
             {std::string(source->name), many ? static_cast<uint64_t>(source->dims[0]) : 1, 0,
              many && !chosen ? Product::kAll : Product::kNone}});
    }
    std::vector<int64_t> largest;
    for (const rz_symbol &symbol : graph.symbols())
        largest.push_back(symbol.max);
    GraphBuilder builder(std::move(graph));
    for (Found &found : products) {
        found.product.input = watched(builder, found.input);
        if (found.experts != kNoTensor && found.product.matrices > 1)
            found.product.experts = watched(builder, found.experts);
        products_.push_back(std::move(found.product));
    }
    for (Watched &w : watched_) {
        if (w.symbol != RZ_NONE) w.steps = static_cast<uint64_t>(largest[w.symbol]);
        w.bytes.resize(w.steps * w.per_step * w.columns * sizeof(float)); // ids are as large
    }
    return std::move(builder).build();
}

void ImportanceCollector::begin_step(std::span<const int64_t> symbols,
                                     std::vector<StepRead> &reads) {
    for (Watched &w : watched_) {
        w.count = w.symbol == RZ_NONE ? w.steps : static_cast<uint64_t>(symbols[w.symbol]);
        // Variants differ in their largest step: the last one that was watched may be the smaller.
        const size_t size = w.count * w.per_step * w.columns * sizeof(float);
        if (w.bytes.size() < size) w.bytes.resize(size);
        reads.push_back({w.output, std::span(w.bytes).first(size)});
    }
}

void ImportanceCollector::end_step() {
    for (const Product &product : products_) {
        const Watched &input = watched_[product.input];
        ImportanceEntry *entry = matrix_.entry(product.weight, product.matrices, input.columns);
        if (entry == nullptr) continue; // used with two shapes: not the same columns
        const auto add = [&](uint64_t row, uint64_t matrix) {
            const float *x = input.row<float>(row);
            double *squares = entry->squares.data() + matrix * input.columns;
            for (uint64_t i = 0; i < input.columns; ++i)
                squares[i] += double{x[i]} * x[i];
            entry->counts[matrix] += 1;
        };
        if (product.experts == Product::kNone || product.experts == Product::kAll) {
            for (uint64_t row = 0; row < input.count * input.per_step; ++row)
                add(row, product.experts == Product::kAll ? row % product.matrices : 0);
            continue;
        }
        // [T, J] experts on [T, J] or [T, 1] rows.
        const Watched &experts = watched_[product.experts];
        for (uint64_t t = 0; t < experts.count; ++t)
            for (uint64_t j = 0; j < experts.columns; ++j) {
                const int32_t expert = experts.row<int32_t>(t)[j];
                if (expert < 0 || static_cast<uint64_t>(expert) >= product.matrices) continue;
                add(t * input.per_step + (input.per_step == 1 ? 0 : j),
                    static_cast<uint64_t>(expert));
            }
    }
}

} // namespace realizar
