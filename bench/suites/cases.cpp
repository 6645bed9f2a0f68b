#include "bench/suites/cases.h"

#include "core/quant/half.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace realizar::bench {
namespace {

constexpr int64_t kPage = 64;

// The query of all heads is 4 times the key of this position, which so stands out.
int64_t needle_of(const CacheCase &shape) { return shape.length / 3; }

float key_at(const CacheCase &shape, int64_t position, int64_t column) {
    return made_up(1, static_cast<uint64_t>(position * shape.heads * shape.size + column));
}
float value_at(const CacheCase &shape, int64_t position, int64_t column) {
    return made_up(2, static_cast<uint64_t>(position * shape.heads * shape.size + column));
}

float rounded(DType dtype, float value) {
    return dtype == DType::F16 ? f16_to_f32(f32_to_f16(value)) : value;
}

// Attention of one head in float64.
std::vector<float> attend(const CacheCase &shape, int64_t head, float scale) {
    const int64_t needle = needle_of(shape), first = head * shape.size;
    std::vector<double> scores(static_cast<size_t>(shape.length));
    double most = -INFINITY, sum = 0;
    for (int64_t p = 0; p < shape.length; ++p) {
        double dot = 0;
        for (int64_t i = 0; i < shape.size; ++i)
            dot += 4.0 * key_at(shape, needle, first + i) *
                   rounded(shape.dtype, key_at(shape, p, first + i));
        scores[static_cast<size_t>(p)] = dot * scale;
        most = std::max(most, dot * scale);
    }
    std::vector<double> out(static_cast<size_t>(shape.size));
    for (int64_t p = 0; p < shape.length; ++p) {
        const double weight = std::exp(scores[static_cast<size_t>(p)] - most);
        sum += weight;
        for (int64_t i = 0; i < shape.size; ++i)
            out[static_cast<size_t>(i)] +=
                weight * rounded(shape.dtype, value_at(shape, p, first + i));
    }
    std::vector<float> result;
    for (const double value : out)
        result.push_back(static_cast<float>(value / sum));
    return result;
}

Result<Graph> cache_graph(const CacheCase &shape, int64_t block) {
    GraphBuilder b;
    const int64_t heads = shape.heads, size = shape.size;
    TensorId k = b.state("k", shape.dtype, {shape.context, heads, size}, 1);
    TensorId v = b.state("v", shape.dtype, {shape.context, heads, size}, 2);
    const TensorId cells = b.input("cells", DType::I32, {block});
    k = b.kv_write(k, b.input("keys", DType::F32, {block, heads, size}), cells);
    v = b.kv_write(v, b.input("values", DType::F32, {block, heads, size}), cells);
    AttentionParams params;
    params.scale = 1 / std::sqrt(static_cast<float>(size));
    params.page_size = kPage;
    const AttentionInputs inputs = {b.input("positions", DType::I32, {1}),
                                    b.input("sequences", DType::I32, {1}),
                                    b.input("pages", DType::I32, {1, shape.context / kPage}),
                                    b.input("lengths", DType::I32, {1})};
    b.output(
        b.attention(b.input("q", DType::F32, {1, heads, size}), k, v, inputs, kNoTensor, params),
        "y");
    return std::move(b).build();
}

// Page of each page of positions: as they come, or from both ends in turn.
std::vector<int32_t> page_table(const CacheCase &shape) {
    const int64_t count = shape.context / kPage;
    std::vector<int32_t> pages;
    for (int64_t i = 0; i < count; ++i) {
        const int64_t mixed = i % 2 == 0 ? i / 2 : count - 1 - i / 2;
        pages.push_back(static_cast<int32_t>(shape.scattered ? mixed : i));
    }
    return pages;
}

void set_block(KernelCase &kernel, const CacheCase &shape, int64_t first, int64_t block,
               std::span<const int32_t> pages) {
    std::vector<float> keys, values;
    std::vector<int32_t> cells;
    for (int64_t p = first; p < first + block; ++p) {
        const bool there = p < shape.length;
        cells.push_back(
            there ? static_cast<int32_t>(pages[static_cast<size_t>(p / kPage)] * kPage + p % kPage)
                  : -1);
        for (int64_t i = 0; i < shape.heads * shape.size; ++i) {
            keys.push_back(key_at(shape, p, i));
            values.push_back(value_at(shape, p, i));
        }
    }
    kernel.set("keys", keys);
    kernel.set("values", values);
    kernel.set("cells", cells);
}

} // namespace

Result<Graph> matmul_graph(int64_t m, int64_t k, int64_t n, DType weights) {
    GraphBuilder b;
    const TensorId w = b.weight("w", weights, {n, k}, seed_of("w"));
    b.output(b.matmul(w, b.input("x", DType::F32, {m, k})), "y");
    return std::move(b).build();
}

Result<std::vector<float>> expected(const Bed &bed, const std::function<Result<Graph>()> &graph,
                                    std::string_view output) {
    if (!bed.reference) return missing("the reference is not there to compare with");
    RZ_ASSIGN(Graph made, graph());
    RZ_ASSIGN(KernelCase kernel, KernelCase::create(bed.reference, std::move(made)));
    RZ_TRY(kernel.step(true));
    const auto values = kernel.output(output);
    return std::vector<float>(values.begin(), values.end());
}

Result<double> check_output(const Bed &bed, KernelCase &kernel,
                            const std::function<Result<Graph>()> &graph, std::string_view output) {
    RZ_ASSIGN(const auto right, expected(bed, graph, output));
    RZ_TRY(kernel.step(true));
    const double far = distance(kernel.output(output), right);
    if (far <= kAgree) return far;
    return wrong_result(format_text("the result is %.2g of its length off the reference's, at most "
                                    "%.2g was expected",
                                    far, kAgree));
}

Result<CacheTimes> run_cache(Bed &bed, const DevicePtr &device, const CacheCase &shape,
                             int64_t block) {
    RZ_ASSIGN(Graph graph, cache_graph(shape, block));
    RZ_ASSIGN(KernelCase kernel, KernelCase::create(device, std::move(graph)));
    const std::vector<int32_t> pages = page_table(shape);
    kernel.set("pages", pages);
    std::vector<float> query;
    for (int64_t i = 0; i < shape.heads * shape.size; ++i)
        query.push_back(4 * key_at(shape, needle_of(shape), i));
    kernel.set("q", query);
    // Without keys to see while the cache is filled, so that only writing is timed.
    kernel.set("lengths", std::vector<int32_t>{0});
    kernel.set("positions", std::vector<int32_t>{static_cast<int32_t>(shape.length - 1)});
    CacheTimes times;
    double filling = 0;
    for (int64_t first = 0; first < shape.length; first += block) {
        set_block(kernel, shape, first, block, pages);
        RZ_ASSIGN(const double one, seconds_of([&] { return kernel.step(true); }));
        filling += one;
    }
    times.fill = static_cast<double>(shape.length) / filling;
    kernel.set("cells", std::vector<int32_t>(static_cast<size_t>(block), -1));
    kernel.set("lengths", std::vector<int32_t>{static_cast<int32_t>(shape.length)});
    RZ_TRY(kernel.step(true));
    for (const int64_t head : {int64_t{0}, shape.heads - 1}) {
        const auto right = attend(shape, head, 1 / std::sqrt(static_cast<float>(shape.size)));
        const auto found = kernel.output("y").subspan(static_cast<size_t>(head * shape.size),
                                                      static_cast<size_t>(shape.size));
        times.distance = std::max(times.distance, distance(found, right));
    }
    if (!(times.distance <= kAgree))
        return wrong_result(format_text("attention over %lld positions is %.2g of its length off "
                                        "float64",
                                        static_cast<long long>(shape.length), times.distance));
    RZ_ASSIGN(times.step, median_seconds(bed.seconds, [&] { return kernel.step(false); }));
    times.read = static_cast<double>(shape.length) / times.step;
    return times;
}

Result<Measurement> run_model(Bed &bed, const DevicePtr &device, const Workload &work,
                              uint32_t times) {
    RZ_ASSIGN(const auto engine, bed.engine(device, std::max(work.context(), 512u)));
    std::vector<std::unique_ptr<Contender>> contenders;
    contenders.push_back(realizar_contender(engine, "realizar"));
    StopRule rule;
    rule.least = times > 0 ? times : 2;
    rule.most = times > 0 ? times : rule.most;
    rule.budget_s = times > 0 ? 0 : 2 * bed.seconds;
    RZ_ASSIGN(auto rows, measure(contenders, {&work, 1}, rule, {}));
    return std::move(rows.front());
}

} // namespace realizar::bench
