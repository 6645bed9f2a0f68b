#include "random_graph.h"

#include "core/graph/builder.h"
#include "core/graph/layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace realizar::test {
namespace {

constexpr int64_t kCells = 24, kHeads = 2, kHeadDim = 6, kPage = 3, kPages = 8;

std::string name(const char *stem, uint64_t number) {
    return std::string(stem).append(std::to_string(number));
}

class Generator {
  public:
    explicit Generator(uint32_t seed) : random_(seed) {}
    RandomGraph make(int nodes);

  private:
    int64_t below(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(random_); }
    TensorId any() { return pool_[static_cast<size_t>(below(static_cast<int64_t>(pool_.size())))]; }
    int64_t inner(TensorId x) { return b_.shape(x).inner(); }
    TensorId weight(const Shape &shape) {
        const uint64_t key = next_key_++;
        return b_.weight(name("w", key), DType::F32, shape, key);
    }
    void grow();
    TensorId project(TensorId x, int64_t width) { return b_.matmul(weight({width, inner(x)}), x); }
    TensorId attend(TensorId x);
    RefValue leaf(const rz_graph &graph, const rz_tensor &tensor);

    std::mt19937 random_;
    GraphBuilder b_;
    int64_t tokens_ = 0; // the symbol
    std::vector<int64_t> values_;
    std::vector<TensorId> pool_; // [T, some width]
    TensorId cells_ = 0;
    AttentionInputs attention_;
    uint64_t next_key_ = 1;
};

// Writes and reads a cache of its own.
TensorId Generator::attend(TensorId x) {
    const uint64_t key = next_key_++;
    const TensorId cache = b_.state(name("kv", key), below(2) == 0 ? DType::F32 : DType::F16,
                                    {kCells, kHeads, kHeadDim}, key);
    const TensorId rows = b_.split_inner(project(x, kHeads * kHeadDim), kHeadDim);
    RopeParams rope;
    rope.rotated = 4;
    rope.halves = below(2) == 0;
    b_.kv_write(cache, b_.rope(rows, attention_.positions, kNoTensor, rope), cells_);
    const TensorId q = b_.split_inner(project(x, 2 * kHeads * kHeadDim), kHeadDim);
    AttentionParams params;
    params.scale = 0.4f;
    params.page_size = kPage;
    params.window = below(2) == 0 ? 4 : 0;
    const TensorId out = b_.attention(q, cache, cache, attention_, kNoTensor, params);
    return b_.reshape(out, {tokens_, 2 * kHeads * kHeadDim});
}

void Generator::grow() {
    const TensorId x = any();
    switch (below(9)) {
    case 0: pool_.push_back(project(x, 1 + below(16))); break;
    case 1: pool_.push_back(b_.add(project(x, 7), project(any(), 7))); break;
    case 2: pool_.push_back(b_.mul(x, weight({inner(x)}))); break;
    case 3: pool_.push_back(b_.rms_norm(x, weight({inner(x)}), 1e-5f)); break;
    case 4: pool_.push_back(b_.layer_norm(x, kNoTensor, weight({inner(x)}), 1e-5f)); break;
    case 5: { // two halves of one product
        const TensorId both = project(x, 10);
        pool_.push_back(
            b_.glu(UnaryKind::silu, b_.slice_inner(both, 0, 5), b_.slice_inner(both, 5, 5)));
        break;
    }
    case 6: pool_.push_back(b_.unary(UnaryKind::gelu, b_.scale(x, 0.7f, 0.1f))); break;
    case 7: pool_.push_back(attend(x)); break;
    case 8: pool_.push_back(b_.softmax(x, 1.3f)); break;
    }
}

RefValue Generator::leaf(const rz_graph &graph, const rz_tensor &tensor) {
    RefValue value;
    for (uint32_t d = 0; d < tensor.rank; ++d)
        value.dims.push_back(resolve_dim(tensor.dims[d], values_));
    value.data.resize(tensor_elements(tensor, value.dims[0]));
    std::normal_distribution<float> normal;
    for (double &x : value.data)
        x = tensor.role == RZ_ROLE_STATE ? 0 : normal(random_);
    // Tokens 0, 1, ... of one sequence, in the pages of a random permutation.
    const auto is = [&](TensorId id) { return &tensor == &tensor_at(graph, id); };
    std::vector<int64_t> pages(kPages);
    for (size_t i = 0; i < pages.size(); ++i)
        pages[i] = static_cast<int64_t>((i * 3 + 5) % pages.size());
    for (size_t i = 0; i < value.data.size(); ++i) {
        const auto n = static_cast<int64_t>(i);
        if (is(attention_.positions)) value.data[i] = static_cast<double>(n);
        if (is(attention_.sequences)) value.data[i] = 0;
        if (is(attention_.pages)) value.data[i] = static_cast<double>(pages[i]);
        if (is(attention_.lengths)) value.data[i] = static_cast<double>(values_[0]);
        if (is(cells_))
            value.data[i] =
                static_cast<double>(pages[static_cast<size_t>(n / kPage)] * kPage + n % kPage);
    }
    return value;
}

RandomGraph Generator::make(int nodes) {
    tokens_ = b_.symbol(1, 20, 1);
    values_ = {1 + below(20)};
    attention_.positions = b_.input("positions", DType::I32, {tokens_});
    attention_.sequences = b_.input("sequences", DType::I32, {tokens_});
    attention_.pages = b_.input("pages", DType::I32, {1, kPages});
    attention_.lengths = b_.input("lengths", DType::I32, {1});
    cells_ = b_.input("cells", DType::I32, {tokens_});
    pool_.push_back(b_.input("x", DType::F32, {tokens_, 11}));
    pool_.push_back(attend(pool_[0]));
    for (int i = 0; i < nodes; ++i)
        grow();
    for (int i = 0; i < 3; ++i)
        b_.output(any(), name("out", static_cast<uint64_t>(i)));
    b_.output(pool_.back(), "last");
    auto graph = std::move(b_).build();
    RandomGraph out;
    EXPECT_TRUE(graph.ok()) << graph.error().message;
    if (!graph) return out;
    out.graph = std::move(*graph);
    out.symbols = values_;
    const rz_graph view = out.graph.view();
    out.leaves.resize(view.tensor_count);
    for (uint32_t i = 0; i < view.tensor_count; ++i) {
        const rz_tensor &tensor = out.graph.tensors()[i];
        if (tensor.storage == i && tensor.role != RZ_ROLE_TEMP) out.leaves[i] = leaf(view, tensor);
    }
    return out;
}

} // namespace

RandomGraph make_random_graph(uint32_t seed, int nodes) { return Generator(seed).make(nodes); }

} // namespace realizar::test
