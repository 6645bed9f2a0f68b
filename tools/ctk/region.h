// A graph with the data of its steps: what a test of levels 2 and 3 hands to the judge.
#pragma once

#include "core/graph/builder.h"
#include "tools/ctk/random.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

namespace realizar::ctk {

using Bytes = std::vector<std::byte>;

// Random numbers of a leaf are mean + deviation * normal.
struct Spread {
    double mean = 0, deviation = 1;
};

// One submission. INPUTs without an entry get random numbers (I32: zeros).
struct Step {
    std::vector<int64_t> symbols;
    std::map<TensorId, std::vector<int32_t>> integers;
    std::map<TensorId, std::vector<float>> numbers; // of F32 inputs; may hold NaN and Inf
    // Indices along dims[0] of the outputs that depend on NaN or Inf: their values are free.
    std::set<int64_t> free_rows;
};

struct Region {
    Graph graph;
    std::vector<Step> steps;
    std::map<TensorId, Spread> spread;
};

// dims with the symbols' values, and the largest ones.
std::vector<int64_t> resolved_dims(const rz_tensor &tensor, std::span<const int64_t> symbols);
std::vector<int64_t> largest_dims(const Graph &graph, const rz_tensor &tensor);
uint64_t bytes_of(rz_dtype dtype, std::span<const int64_t> dims);
uint64_t rows_of(const rz_tensor &tensor); // rows of a WEIGHT as rz_weights_api.load counts them

// Random contents in the canonical layout; zeros for a type without a codec.
Bytes random_bytes(rz_dtype dtype, std::span<const int64_t> dims, Spread spread, Random &random);
template <class T>
Bytes to_bytes(const std::vector<T> &values) {
    const auto *begin = reinterpret_cast<const std::byte *>(values.data());
    return {begin, begin + values.size() * sizeof(T)};
}

// The bytes of all leaves (WEIGHT, INPUT, STATE), by tensor; other entries stay empty.
using Leaves = std::vector<Bytes>;
Leaves make_constants(const Region &region, Random &random); // WEIGHT and first STATE
void make_inputs(const Region &region, const Step &step, Random &random, Leaves &leaves);

// Is the tensor the owner of bytes with this role?
inline bool owns(const Graph &graph, TensorId id, rz_role role) {
    return graph.tensors()[id].role == role && graph.tensors()[id].storage == id;
}

} // namespace realizar::ctk
