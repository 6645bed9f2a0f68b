// GPU-001 to 005, 009, 011 to 015 and 020 to 024: single kernels and how they are driven.
#include "bench/statistics.h"
#include "bench/suites/cases.h"

#include <algorithm>
#include <cmath>

namespace realizar::bench {
namespace {

// Seconds of a product with transfers, after its result was found right.
Result<double> time_matmul(Bed &bed, const DevicePtr &device, int64_t m, int64_t k, int64_t n,
                           bool transfers, double *far = nullptr) {
    const auto graph = [=] { return matmul_graph(m, k, n); };
    RZ_ASSIGN(Graph made, graph());
    RZ_ASSIGN(KernelCase kernel, KernelCase::create(device, std::move(made)));
    RZ_ASSIGN(const double distance, check_output(bed, kernel, graph, "y"));
    if (far) *far = distance;
    return median_seconds(bed.seconds, [&] { return kernel.step(transfers); });
}

double operations(double m, double k, double n) { return 2 * m * k * n; }

Result<Finding> large_matmul(Bed &bed) {
    constexpr int64_t kSide = 512;
    double far = 0;
    RZ_ASSIGN(const double with, time_matmul(bed, bed.gpu, kSide, kSide, kSide, true, &far));
    RZ_ASSIGN(const double resident, time_matmul(bed, bed.gpu, kSide, kSide, kSide, false));
    const double work = operations(kSide, kSide, kSide) / 1e9;
    return Finding{work / with, format_text("with both transfers; %.1f where the values are on the "
                                            "device; %.1g off float64",
                                            work / resident, far)};
}

Result<Finding> size_efficiency(Bed &bed) {
    RZ_ASSIGN(const double large, time_matmul(bed, bed.gpu, 256, 256, 256, true));
    RZ_ASSIGN(const double little, time_matmul(bed, bed.gpu, 32, 32, 32, true));
    const double ratio = (operations(256, 256, 256) / large) / (operations(32, 32, 32) / little);
    return Finding{ratio, format_text("256^3 %.3f ms, 32^3 %.3f ms; the suite 'crossover' has the "
                                      "regret for each size",
                                      large * 1e3, little * 1e3)};
}

Result<Finding> activations(Bed &bed) {
    constexpr int64_t kCount = 1 << 20;
    const auto graph = []() -> Result<Graph> {
        GraphBuilder b;
        const TensorId x = b.input("x", DType::F32, {256, kCount / 256});
        b.output(b.unary(UnaryKind::sigmoid, b.unary(UnaryKind::relu, x)), "y");
        return std::move(b).build();
    };
    RZ_ASSIGN(Graph made, graph());
    RZ_ASSIGN(KernelCase kernel, KernelCase::create(bed.gpu, std::move(made)));
    RZ_TRY(check_output(bed, kernel, graph, "y"));
    RZ_ASSIGN(const double resident,
              median_seconds(bed.seconds, [&] { return kernel.step(false); }));
    RZ_ASSIGN(const double with, median_seconds(bed.seconds, [&] { return kernel.step(true); }));
    constexpr double kBytes = 2.0 * kCount * sizeof(float) / 1e9; // read once, written once
    return Finding{kBytes / resident,
                   format_text("on the device; with both transfers %.2f", kBytes / with)};
}

Result<Finding> kept_buffers(Bed &bed) {
    const auto graph = [] { return matmul_graph(128, 128, 128); };
    RZ_ASSIGN(Graph made, graph());
    RZ_ASSIGN(KernelCase kept, KernelCase::create(bed.gpu, std::move(made)));
    RZ_TRY(check_output(bed, kept, graph, "y"));
    const auto before = bed.gpu->counters();
    RZ_ASSIGN(const double pooled, median_seconds(bed.seconds, [&] { return kept.step(true); }));
    const auto after = bed.gpu->counters();
    const auto make_all = [&]() -> Status {
        RZ_ASSIGN(Graph again, graph());
        RZ_ASSIGN(KernelCase kernel, KernelCase::create(bed.gpu, std::move(again)));
        return kernel.step(true);
    };
    RZ_ASSIGN(const double anew, median_seconds(bed.seconds, make_all));
    const auto allocations =
        before.ok() && after.ok() ? after->allocations - before->allocations : 0;
    return Finding{anew / pooled,
                   format_text("buffers, weights and program made for each product: %.3f ms, kept: "
                               "%.3f ms with %llu allocations in all",
                               anew * 1e3, pooled * 1e3,
                               static_cast<unsigned long long>(allocations))};
}

Result<Finding> asynchronous(Bed &bed) {
    constexpr int kTimes = 50;
    const auto graph = [] { return matmul_graph(128, 128, 128); };
    RZ_ASSIGN(Graph made, graph());
    RZ_ASSIGN(KernelCase kernel, KernelCase::create(bed.gpu, std::move(made)));
    RZ_TRY(check_output(bed, kernel, graph, "y"));
    const auto run = [&](bool each) {
        return median_seconds(bed.seconds, [&, each]() -> Status {
            for (int i = 0; i < kTimes; ++i)
                RZ_TRY(each ? kernel.step(true) : kernel.submit(true));
            return kernel.wait();
        });
    };
    RZ_ASSIGN(const double waits, run(true));
    RZ_ASSIGN(const double flows, run(false));
    const auto submit_all = [&]() -> Status {
        for (int i = 0; i < kTimes; ++i)
            RZ_TRY(kernel.submit(true));
        return {};
    };
    RZ_ASSIGN(const double submitting, seconds_of(submit_all));
    RZ_ASSIGN(const double waiting, seconds_of([&] { return kernel.wait(); }));
    return Finding{flows / waits,
                   format_text("50 products, submitted before the first wait; the host "
                               "was free for %.0f %% of the time",
                               100 * waiting / (submitting + waiting))};
}

// One layer of 32 heads of 128 stands for all of them: the work grows with their number.
struct CacheGoal {
    CacheCase shape;
    double layers, fill, read; // positions a second
};
constexpr int64_t kBlock = 512; // positions a submission

// The smaller one of both rates over its goal.
Result<Finding> cache_share(Bed &bed, const CacheGoal &goal) {
    RZ_ASSIGN(const CacheTimes times, run_cache(bed, bed.gpu, goal.shape, kBlock));
    const double read = times.read / goal.layers, fill = times.fill / goal.layers;
    return Finding{
        std::min(fill / goal.fill, read / goal.read),
        format_text("%lld positions of %lld, for %.0f layers after one of them: fill %.4g a "
                    "second (limit %.4g), attention over them %.4g (limit %.4g); %.1g off "
                    "float64",
                    static_cast<long long>(goal.shape.length),
                    static_cast<long long>(goal.shape.context), goal.layers, fill, goal.fill, read,
                    goal.read, times.distance)};
}

template <int64_t Length, DType Type, int64_t Fill, int64_t Read>
Result<Finding> long_cache(Bed &bed) {
    return cache_share(bed, {{Length, Length, 32, 128, Type, false}, 32, Fill, Read});
}

Result<Finding> half_full_cache(Bed &bed) {
    return cache_share(bed, {{2048, 4096, 32, 128, DType::F32, false}, 4, 1000, 10000});
}

// A norm, a product and a softmax: in one region, and each in its own.
Result<Graph> chain_graph(int first, int last) {
    constexpr int64_t kRows = 64, kWidth = 1024;
    const char *const names[] = {"x", "normed", "product", "y"};
    GraphBuilder b;
    TensorId x = b.input(names[first], DType::F32, {kRows, kWidth});
    for (int i = first; i < last; ++i) {
        if (i == 0)
            x = b.rms_norm(x, b.weight("norm", DType::F32, {kWidth}, seed_of("norm")), 1e-5f);
        if (i == 1) x = b.matmul(b.weight("w", DType::F32, {kWidth, kWidth}, seed_of("w")), x);
        if (i == 2) x = b.softmax(x, 1);
    }
    b.output(x, names[last]);
    return std::move(b).build();
}

// SwiGLU: gate and up, their product, down.
Result<Graph> ffn_graph(int first, int last) {
    constexpr int64_t kRows = 16, kWidth = 512, kInner = 1408;
    GraphBuilder b;
    const auto weight = [&](const char *name, int64_t rows, int64_t columns) {
        return b.weight(name, DType::F32, {rows, columns}, seed_of(name));
    };
    TensorId gate = kNoTensor, up = kNoTensor, inner = kNoTensor;
    if (first == 0) {
        const TensorId x = b.input("x", DType::F32, {kRows, kWidth});
        gate = b.matmul(weight("wg", kInner, kWidth), x);
        up = b.matmul(weight("wu", kInner, kWidth), x);
        if (last == 1) {
            b.output(gate, "gate");
            b.output(up, "up");
            return std::move(b).build();
        }
    }
    if (first == 1) {
        gate = b.input("gate", DType::F32, {kRows, kInner});
        up = b.input("up", DType::F32, {kRows, kInner});
    }
    inner = first < 2 ? b.glu(UnaryKind::silu, gate, up)
                      : b.input("inner", DType::F32, {kRows, kInner});
    if (last == 2) {
        b.output(inner, "inner");
        return std::move(b).build();
    }
    b.output(b.matmul(weight("wd", kWidth, kInner), inner), "y");
    return std::move(b).build();
}

// Times of a graph as one region against one region for each of its three stages.
Result<Finding> one_region(Bed &bed, Result<Graph> (*graph)(int, int)) {
    RZ_ASSIGN(Graph whole, graph(0, 3));
    RZ_ASSIGN(KernelCase together, KernelCase::create(bed.gpu, std::move(whole)));
    RZ_ASSIGN(const double far, check_output(
                                    bed, together, [&] { return graph(0, 3); }, "y"));
    std::vector<KernelCase> stages;
    for (int i = 0; i < 3; ++i) {
        RZ_ASSIGN(Graph stage, graph(i, i + 1));
        RZ_ASSIGN(KernelCase kernel, KernelCase::create(bed.gpu, std::move(stage)));
        stages.push_back(std::move(kernel));
    }
    RZ_ASSIGN(const double one, median_seconds(bed.seconds, [&] { return together.step(true); }));
    const char *const between[] = {"normed", "product", "gate", "up", "inner"};
    RZ_ASSIGN(const double three, median_seconds(bed.seconds, [&]() -> Status {
                  for (size_t i = 0; i < stages.size(); ++i) {
                      RZ_TRY(stages[i].step(true));
                      for (const char *name : between)
                          if (const auto values = stages[i].output(name);
                              i + 1 < stages.size() && !values.empty())
                              stages[i + 1].set(name, std::as_bytes(values));
                  }
                  return {};
              }));
    const double apart = distance(together.output("y"), stages.back().output("y"));
    if (!(apart <= kAgree))
        return wrong_result(
            format_text("one region and three differ by %.2g of the result", apart));
    return Finding{three / one,
                   format_text("one region %.3f ms, three with transfers %.3f ms; %.1g "
                               "off float64, %.1g off each other",
                               one * 1e3, three * 1e3, far, apart)};
}

Result<Finding> norm_product_softmax(Bed &bed) { return one_region(bed, chain_graph); }
Result<Finding> feed_forward(Bed &bed) { return one_region(bed, ffn_graph); }

// In turns, the best of each, so that what else the machine does hits both alike.
Result<Finding> contiguous_pages(Bed &bed) {
    constexpr int kRounds = 3;
    double best[2] = {INFINITY, INFINITY}; // in order, scattered
    for (int i = 0; i < 2 * kRounds; ++i) {
        const bool scattered = i % 2 == 0;
        const CacheCase shape{2048, 2048, 32, 128, DType::F16, scattered};
        RZ_ASSIGN(const CacheTimes times, run_cache(bed, bed.gpu, shape, kBlock));
        best[scattered] = std::min(best[scattered], times.step);
    }
    return Finding{best[1] / best[0],
                   format_text("attention over 2048 positions: pages in order %.3f ms, scattered "
                               "%.3f ms, best of %d",
                               best[0] * 1e3, best[1] * 1e3, kRounds)};
}

Result<Finding> against_plain_loop(Bed &bed) {
    constexpr size_t kM = 128, kK = 256, kN = 128;
    RZ_ASSIGN(const double device, time_matmul(bed, bed.gpu, kM, kK, kN, true));
    std::vector<float> x(kM * kK), w(kN * kK), y(kM * kN);
    for (size_t i = 0; i < x.size(); ++i)
        x[i] = made_up(1, i);
    for (size_t i = 0; i < w.size(); ++i)
        w[i] = made_up(2, i);
    RZ_ASSIGN(const double plain, median_seconds(bed.seconds, [&]() -> Status {
                  for (size_t m = 0; m < kM; ++m)
                      for (size_t n = 0; n < kN; ++n) {
                          float sum = 0;
                          for (size_t k = 0; k < kK; ++k)
                              sum += x[m * kK + k] * w[n * kK + k];
                          y[m * kN + n] = sum;
                      }
                  asm volatile("" : : "r"(y.data()) : "memory"); // the result is wanted
                  return {};
              }));
    return Finding{plain / device,
                   format_text("128 x 256 x 128 with transfers %.3f ms, three plain "
                               "loops on the host %.3f ms",
                               device * 1e3, plain * 1e3)};
}

constexpr Check kChecks[] = {
    {"GPU-001", "matmul 512 x 512 x 512", "GFLOPS", 100, 1, true, Needs::gpu, large_matmul},
    {"GPU-002", "rate of 256^3 over that of 32^3", "x", 10, 1, true, Needs::gpu, size_efficiency},
    {"GPU-003", "relu and sigmoid of 1M values", "GB/s", 50, 0.5, true, Needs::gpu, activations},
    {"GPU-004", "kept buffers against new ones", "x", 1.5, 0.8, true, Needs::gpu, kept_buffers},
    {"GPU-005", "queued against awaited work, time", "x", 1.2, 2, false, Needs::gpu, asynchronous},
    {"GPU-009", "2048 positions of 4096, share of both rates", "x limit", 1, 1, true, Needs::gpu,
     half_full_cache},
    {"GPU-011", "cache of 4096, share of both rates", "x limit", 1, 1, true, Needs::gpu,
     long_cache<4096, DType::F32, 500, 5000>},
    {"GPU-012", "cache of 8192, share of both rates", "x limit", 1, 1, true, Needs::gpu,
     long_cache<8192, DType::F32, 250, 2500>},
    {"GPU-013", "cache of 16384, share of both rates", "x limit", 1, 1, true, Needs::gpu,
     long_cache<16384, DType::F32, 125, 1250>},
    {"GPU-014", "cache of 32768, share of both rates", "x limit", 1, 1, true, Needs::gpu,
     long_cache<32768, DType::F32, 60, 600>},
    {"GPU-015", "F16 cache of 65536, share of both rates", "x limit", 1, 1, true, Needs::gpu,
     long_cache<65536, DType::F16, 30, 300>},
    {"GPU-021", "norm, product, softmax as one region", "x", 0.9, 0.9, true, Needs::gpu,
     norm_product_softmax},
    {"GPU-022", "attention over pages in order", "x", 1, 1, true, Needs::gpu, contiguous_pages},
    {"GPU-023", "feed-forward network as one region", "x", 0.8, 0.8, true, Needs::gpu,
     feed_forward},
    {"GPU-024", "matmul against plain loops", "x", 0.8, 0.8, true, Needs::gpu, against_plain_loop},
};

} // namespace

std::span<const Check> parity_kernels() { return kChecks; }

} // namespace realizar::bench
