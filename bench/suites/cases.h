// Graphs and measurements that several checks of the suites share.
#pragma once

#include "bench/suites/kernel_case.h"
#include "bench/suites/suite.h"

#include <chrono>

namespace realizar::bench {

// y [m, n] = x [m, k] times a weight of n rows. Names: "x", "w", "y".
Result<Graph> matmul_graph(int64_t m, int64_t k, int64_t n, DType weights = DType::F32);
// The output of the same graph by the reference, in float64; all ones where there is no reference.
Result<std::vector<float>> expected(const Bed &bed, const std::function<Result<Graph>()> &graph,
                                    std::string_view output);
// Error wrong_result unless the output is close to what is expected; else the distance.
Result<double> check_output(const Bed &bed, KernelCase &kernel,
                            const std::function<Result<Graph>()> &graph, std::string_view output);

// Attention of one query over a cache of `heads` heads of `size`, in pages of 64 cells.
struct CacheCase {
    int64_t length, context, heads = 32, size = 128;
    DType dtype = DType::F32;
    bool scattered = false; // pages in an order that is not that of the positions
};
struct CacheTimes {
    double fill = 0, read = 0; // positions a second
    double step = 0;           // seconds of one attention
    double distance = 0;       // from attention in float64, over two heads
};
// Fills the cache row after row block by block (`block` positions a submission), and reads all of it.
// The query looks for one key, which must be found: else wrong_result.
Result<CacheTimes> run_cache(Bed &bed, const DevicePtr &device, const CacheCase &shape,
                             int64_t block);

// Median rate of a workload on the model; `times` repetitions, or as the budget of the bed allows.
Result<Measurement> run_model(Bed &bed, const DevicePtr &device, const Workload &work,
                              uint32_t times = 0);

template <class F>
Result<double> seconds_of(F &&call) {
    const auto start = std::chrono::steady_clock::now();
    RZ_TRY(call());
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

} // namespace realizar::bench
