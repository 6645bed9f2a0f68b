// IMP-001 to IMP-005: what the CPU does with a quantised file, a cache and a prompt.
#include "bench/statistics.h"
#include "bench/suites/cases.h"
#include "core/quant/codec.h"

#include <algorithm>
#include <cmath>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace realizar::bench {
namespace {

constexpr double kGiga = 1e9;

// 8192 blocks of 256 weights, through the operator that decodes whole rows.
Result<Finding> decode_q4k(Bed &bed) {
    constexpr int64_t kRows = 1024, kWidth = 2048;
    const auto graph = []() -> Result<Graph> {
        GraphBuilder b;
        const TensorId w = b.weight("w", DType::Q4_K, {kRows, kWidth}, seed_of("w"));
        b.output(b.get_rows(w, b.input("ids", DType::I32, {kRows})), "y");
        return std::move(b).build();
    };
    std::vector<int32_t> ids;
    for (int32_t i = 0; i < kRows; ++i)
        ids.push_back((i * 7 + 3) % kRows);
    RZ_ASSIGN(Graph made, graph());
    RZ_ASSIGN(KernelCase kernel, KernelCase::create(bed.cpu, std::move(made)));
    kernel.set("ids", ids);
    RZ_TRY(kernel.step(true));
    RZ_ASSIGN(const auto blocks, made_up_rows(DType::Q4_K, kRows, kWidth, seed_of("w")));
    std::vector<float> all(kRows * kWidth), right;
    RZ_TRY(decode_rows(DType::Q4_K, blocks, all, kWidth));
    for (const int32_t id : ids)
        right.insert(right.end(), all.begin() + id * kWidth, all.begin() + (id + 1) * kWidth);
    const double far = distance(kernel.output("y"), right);
    if (far > 1e-6)
        return wrong_result(format_text("decoded blocks are %.2g off the codec's", far));
    RZ_ASSIGN(const double device, median_seconds(bed.seconds, [&] { return kernel.step(false); }));
    RZ_ASSIGN(const double scalar, median_seconds(bed.seconds, [&] {
                  return decode_rows(DType::Q4_K, blocks, all, kWidth);
              }));
    const double bytes = static_cast<double>(blocks.size() + all.size() * sizeof(float));
    return Finding{
        bytes / device / kGiga,
        format_text("bytes in and out of 8192 random blocks; %.1f times the scalar codec",
                    scalar / device)};
}

Result<double> read_file(const std::string &path, bool cold, uint64_t &bytes) {
    constexpr uint64_t kMost = 1u << 30;
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return missing("the model's file cannot be opened again");
    struct stat info {};
    if (::fstat(file, &info) == 0)
        bytes = std::min<uint64_t>(kMost, static_cast<uint64_t>(info.st_size));
    if (cold) (void)::posix_fadvise(file, 0, static_cast<off_t>(bytes), POSIX_FADV_DONTNEED);
    void *data = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0);
    ::close(file);
    if (data == MAP_FAILED) return missing("the model's file cannot be mapped");
    (void)::madvise(data, bytes, MADV_SEQUENTIAL);
    auto seconds = seconds_of([&]() -> Status {
        uint64_t sum = 0;
        const auto *words = static_cast<const uint64_t *>(data);
        for (uint64_t i = 0; i < bytes / sizeof(uint64_t); ++i)
            sum += words[i];
        asm volatile("" : : "r"(sum)); // what is read must be used
        return {};
    });
    ::munmap(data, bytes);
    return seconds;
}

Result<Finding> stream_file(Bed &bed) {
    if (bed.path.empty()) return missing("the built-in model is no file: give one with -m");
    uint64_t bytes = 0;
    RZ_ASSIGN(const double cold, read_file(bed.path, true, bytes));
    RZ_ASSIGN(const double warm, read_file(bed.path, false, bytes));
    const double size = static_cast<double>(bytes) / kGiga;
    return Finding{size / cold,
                   format_text("%.2f GB after the system was asked to drop them; %.2f GB/s again",
                               size, size / warm)};
}

constexpr int64_t kContext = 2048, kHidden = 256, kHead = 64, kHeads = kHidden / kHead;

// Q, K and V of a prompt, the cache and attention over it. `parts`: 1 the products, 2 the rest, 3 all.
Result<Graph> attention_graph(int parts) {
    GraphBuilder b;
    TensorId qkv[3] = {kNoTensor, kNoTensor, kNoTensor};
    const char *const names[] = {"q", "k", "v"};
    if (parts & 1) {
        const TensorId x = b.input("x", DType::F32, {kContext, kHidden});
        for (int i = 0; i < 3; ++i) {
            const std::string weight = std::string("w") + names[i];
            qkv[i] = b.matmul(b.weight(weight, DType::F32, {kHidden, kHidden}, seed_of(weight)), x);
            if (parts == 1) b.output(qkv[i], names[i]);
        }
        if (parts == 1) return std::move(b).build();
    } else {
        for (int i = 0; i < 3; ++i)
            qkv[i] = b.input(names[i], DType::F32, {kContext, kHidden});
    }
    const TensorId cells = b.input("cells", DType::I32, {kContext});
    for (TensorId &x : qkv)
        x = b.split_inner(x, kHead);
    const Shape cache = {kContext, kHeads, kHead};
    const TensorId k = b.kv_write(b.state("ck", DType::F32, cache, 1), qkv[1], cells);
    const TensorId v = b.kv_write(b.state("cv", DType::F32, cache, 2), qkv[2], cells);
    AttentionParams params;
    params.scale = 1 / std::sqrt(static_cast<float>(kHead));
    params.page_size = kContext;
    const AttentionInputs inputs = {cells, b.input("sequences", DType::I32, {kContext}),
                                    b.input("pages", DType::I32, {1, 1}),
                                    b.input("lengths", DType::I32, {1})};
    b.output(b.attention(qkv[0], k, v, inputs, kNoTensor, params), "y");
    return std::move(b).build();
}

void set_places(KernelCase &kernel) {
    std::vector<int32_t> cells(kContext);
    for (size_t i = 0; i < cells.size(); ++i)
        cells[i] = static_cast<int32_t>(i);
    kernel.set("cells", cells);
    kernel.set("lengths", std::vector<int32_t>{kContext});
}

Result<Finding> fused_attention(Bed &bed) {
    RZ_ASSIGN(Graph whole, attention_graph(3));
    RZ_ASSIGN(Graph first, attention_graph(1));
    RZ_ASSIGN(Graph second, attention_graph(2));
    RZ_ASSIGN(KernelCase fused, KernelCase::create(bed.cpu, std::move(whole)));
    RZ_ASSIGN(KernelCase products, KernelCase::create(bed.cpu, std::move(first)));
    RZ_ASSIGN(KernelCase rest, KernelCase::create(bed.cpu, std::move(second)));
    set_places(fused);
    set_places(rest);
    RZ_ASSIGN(const double together, median_seconds(bed.seconds, [&] { return fused.step(true); }));
    RZ_ASSIGN(const double apart, median_seconds(bed.seconds, [&]() -> Status {
                  RZ_TRY(products.step(true));
                  for (const char *name : {"q", "k", "v"})
                      rest.set(name, std::as_bytes(products.output(name)));
                  return rest.step(true);
              }));
    const double far = distance(fused.output("y"), rest.output("y"));
    if (!(far <= kAgree))
        return wrong_result(format_text("one region and two differ by %.2g of the result", far));
    return Finding{together * 1e3,
                   format_text("prompt of 2048, hidden 256, heads of 64; in two regions %.2f ms, "
                               "results %.1g apart",
                               apart * 1e3, far)};
}

Result<Finding> cache_stores(Bed &bed) {
    const CacheCase shape{1000, 1024,       4 * 4,
                          64,   DType::F32, false}; // four layers of 256 beside each other
    RZ_ASSIGN(const CacheTimes times, run_cache(bed, bed.cpu, shape, 1));
    return Finding{times.fill,
                   format_text("a row of 4 x 256 in keys and values at a time; read back by "
                               "attention, %.1g off float64",
                               times.distance)};
}

Result<Finding> batched_prompt(Bed &bed) {
    RZ_ASSIGN(const Measurement prompt, run_model(bed, bed.cpu, {256, 0, 0, 1}));
    RZ_ASSIGN(const Measurement single, run_model(bed, bed.cpu, {0, 64, 0, 1}));
    return Finding{prompt.median() / single.median(),
                   format_text("prompt of 256 %.0f tok/s, one by one %.0f tok/s", prompt.median(),
                               single.median())};
}

constexpr Check kChecks[] = {
    {"IMP-001", "decoding of Q4_K", "GB/s", 10, 1, true, Needs::cpu, decode_q4k},
    {"IMP-002", "reading of the mapped model", "GB/s", 5, 1, true, Needs::nothing, stream_file},
    {"IMP-003", "fused QKV and attention at 2048", "ms", 10, 50, false, Needs::cpu,
     fused_attention},
    {"IMP-004", "stores into the cache", "1/s", 100e3, 10e3, true, Needs::cpu, cache_stores},
    {"IMP-005", "prompt in batches against token by token", "x", 5, 0.8, true, Needs::cpu,
     batched_prompt},
};

} // namespace

std::span<const Check> parity_cpu() { return kChecks; }

} // namespace realizar::bench
