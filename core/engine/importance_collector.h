// Collects an importance matrix (core/format/importance.h) while a model reads text.
#pragma once

#include "core/engine/step_observer.h"
#include "core/format/importance.h"
#include "core/graph/builder.h"

#include <map>

namespace realizar {

// Watches the inputs of all products with matrices of the file, by name. One per engine.
class ImportanceCollector : public StepObserver {
  public:
    Result<Graph> watch(Graph graph, const ModelFile &model) override;
    void begin_step(std::span<const int64_t> symbols, std::vector<StepRead> &reads) override;
    void end_step() override;

    const ImportanceMatrix &matrix() const { return matrix_; }

  private:
    // A tensor [T, per_step, columns] of floats that is multiplied, or [T, columns] of expert ids.
    struct Watched {
        TensorId output = kNoTensor;
        uint32_t symbol = RZ_NONE; // of the outermost dimension
        uint64_t steps = 1;        // its largest value, or its value without a symbol
        uint64_t per_step = 1, columns = 1;
        std::vector<std::byte> bytes;
        uint64_t count = 0; // steps in this submission

        template <class T>
        const T *row(uint64_t index) const {
            return reinterpret_cast<const T *>(bytes.data()) + index * columns;
        }
    };
    struct Product {
        std::string weight;
        uint64_t matrices;
        size_t input;   // index into watched_
        size_t experts; // likewise; kNone: one matrix; kAll: each has its own rows of the input
        static constexpr size_t kNone = SIZE_MAX, kAll = SIZE_MAX - 1;
    };

    size_t watched(GraphBuilder &builder, TensorId id);

    std::vector<Watched> watched_;
    std::vector<Product> products_;
    std::map<TensorId, size_t> known_; // of this graph
    ImportanceMatrix matrix_;
};

} // namespace realizar
