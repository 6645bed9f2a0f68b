// A small graph with given numbers, run by ref_run; and how results are compared with numbers that
// were computed by hand.
#pragma once

#include "core/graph/builder.h"
#include "core/reference/reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

namespace realizar::test {

using Numbers = std::vector<double>;

// The largest |a - b| relative to max(1, |b|). Infinite when sizes, NaNs or infinities differ.
inline double distance(const Numbers &a, const Numbers &b) {
    if (a.size() != b.size()) return INFINITY;
    double largest = 0;
    for (size_t i = 0; i < a.size(); ++i) {
        if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
        const double d = std::abs(a[i] - b[i]) / std::max(1.0, std::abs(b[i]));
        if (!std::isfinite(d)) return INFINITY;
        largest = std::max(largest, d);
    }
    return largest;
}

// A few hundred roundings of doubles.
inline constexpr double kExact = 1e-13;

class RefCase {
  public:
    GraphBuilder b;

    TensorId input(const Shape &shape, const Numbers &numbers, DType dtype = DType::F32) {
        return given(b.input("input", dtype, shape), numbers);
    }
    TensorId integers(const Shape &shape, const Numbers &numbers) {
        return input(shape, numbers, DType::I32);
    }
    TensorId weight(const Shape &shape, const Numbers &numbers, DType dtype = DType::F32) {
        return given(b.weight("weight", dtype, shape, ++key_), numbers);
    }
    TensorId state(DType dtype, const Shape &shape, const Numbers &numbers) {
        return given(b.state("state", dtype, shape, ++key_), numbers);
    }
    // A symbol that has this value in the run.
    int64_t symbol(int64_t value) {
        symbols_.push_back(value);
        return b.symbol(0, value + 10, value);
    }

    // The numbers of `id`, a result or a state, after the run. Ends the case.
    Numbers run(TensorId id) { return run(std::vector{id})[0]; }
    std::vector<Numbers> run(const std::vector<TensorId> &ids) {
        auto graph = std::move(b).build();
        EXPECT_TRUE(graph.ok()) << graph.error().message;
        if (!graph) return std::vector<Numbers>(ids.size());
        std::vector<RefValue> values(graph->tensors().size());
        for (const auto &[tensor, numbers] : given_)
            values[tensor].data = numbers;
        const Status status = ref_run(graph->view(), symbols_, values);
        EXPECT_TRUE(status.ok()) << status.error().message;
        std::vector<Numbers> out;
        for (const TensorId id : ids)
            out.push_back(values[id].data);
        return out;
    }

  private:
    TensorId given(TensorId id, const Numbers &numbers) {
        given_[id] = numbers;
        return id;
    }

    std::map<TensorId, Numbers> given_;
    std::vector<int64_t> symbols_;
    uint64_t key_ = 0;
};

} // namespace realizar::test
