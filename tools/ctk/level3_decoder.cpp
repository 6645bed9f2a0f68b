// A small decoder, as the models of the core build it.
#include "tools/ctk/level3.h"

#include <cmath>

namespace realizar::ctk {
namespace {

constexpr int64_t kLayers = 2, kHeads = 8, kKvHeads = 2, kHead = 32, kVocabulary = 301;
constexpr int64_t kDim = kHeads * kHead; // 256: whole blocks of every type
constexpr int64_t kKvDim = kKvHeads * kHead;
constexpr int64_t kHidden = 512;
constexpr int64_t kTokens = 9, kSequences = 2, kPage = 4, kPages = 6;
constexpr int64_t kCells = kPage * kPages * kSequences;
constexpr uint32_t kTop = 5;

class DecoderBuilder {
  public:
    explicit DecoderBuilder(const DecoderTypes &types) : types_(types) {}

    Result<Region> make(Random &random) {
        tokens_ = b_.symbol(1, kTokens, 1);
        ids_ = b_.input("ids", DType::I32, {tokens_});
        cells_ = b_.input("cells", DType::I32, {tokens_});
        shared_ = {b_.input("positions", DType::I32, {tokens_}),
                   b_.input("sequences", DType::I32, {tokens_}),
                   b_.input("pages", DType::I32, {kSequences, kPages}),
                   b_.input("lengths", DType::I32, {kSequences})};
        const TensorId table = matrix(kVocabulary, kDim);
        TensorId x = b_.get_rows(table, ids_); // [T, dim]
        for (int64_t layer = 0; layer < kLayers; ++layer) {
            x = b_.add(x, attention(b_.rms_norm(x, vector(kDim), 1e-5f), layer));
            if (layer == 0) b_.output(x, "after-attention");
            x = b_.add(x, feed_forward(b_.rms_norm(x, vector(kDim), 1e-5f)));
        }
        const TensorId logits = b_.matmul(matrix(kVocabulary, kDim),
                                          b_.rms_norm(x, vector(kDim), 1e-5f)); // [T, vocabulary]
        b_.output(logits, "logits");
        b_.output(b_.argmax(logits), "argmax");
        const GraphBuilder::TopK top = b_.top_k(logits, kTop);
        b_.output(top.values, "top-values");
        b_.output(top.indices, "top-indices");
        Region region;
        RZ_ASSIGN(region.graph, std::move(b_).build());
        region.spread = std::move(spread_);
        add_steps(region, random);
        return region;
    }

  private:
    TensorId matrix(int64_t rows, int64_t columns) {
        const TensorId id =
            b_.weight("w" + std::to_string(key_), types_.weights, {rows, columns}, key_);
        ++key_;
        spread_[id] = {0, 1 / std::sqrt(static_cast<double>(columns))};
        return id;
    }
    TensorId vector(int64_t size) {
        const TensorId id = b_.weight("n" + std::to_string(key_), DType::F32, {size}, key_);
        ++key_;
        spread_[id] = {1, 0.2};
        return id;
    }

    TensorId attention(TensorId x, int64_t layer) {
        RopeParams rope;
        rope.rotated = kHead;
        rope.halves = layer % 2 == 1;
        const auto rotated = [&](TensorId rows) {
            return b_.rope(b_.split_inner(rows, kHead), shared_.positions, kNoTensor, rope);
        };
        const TensorId q = rotated(b_.matmul(matrix(kDim, kDim), x));   // [T, heads, 32]
        const TensorId k = rotated(b_.matmul(matrix(kKvDim, kDim), x)); // [T, kv heads, 32]
        const TensorId v = b_.split_inner(b_.matmul(matrix(kKvDim, kDim), x), kHead);
        const std::string name = std::to_string(layer);
        TensorId keys = b_.state("k" + name, types_.keys, {kCells, kKvHeads, kHead}, key_++);
        TensorId values = b_.state("v" + name, types_.values, {kCells, kKvHeads, kHead}, key_++);
        keys = b_.kv_write(keys, k, cells_);
        values = b_.kv_write(values, v, cells_);
        AttentionParams params;
        params.scale = 1 / std::sqrt(static_cast<float>(kHead));
        params.page_size = kPage;
        params.window = layer == 1 ? 6 : 0;
        const TensorId out = b_.attention(q, keys, values, shared_, kNoTensor, params);
        return b_.matmul(matrix(kDim, kDim), b_.reshape(out, {tokens_, kDim}));
    }

    TensorId feed_forward(TensorId x) {
        const TensorId gate = b_.matmul(matrix(kHidden, kDim), x);
        const TensorId up = b_.matmul(matrix(kHidden, kDim), x);
        return b_.matmul(matrix(kDim, kHidden), b_.glu(UnaryKind::silu, gate, up));
    }

    // Prompts of two sequences, single tokens, both together with a padding row, a longer piece.
    void add_steps(Region &region, Random &random) {
        const std::vector<int32_t> pages = random_permutation(random, kSequences * kPages);
        std::vector<int32_t> lengths(kSequences, 0);
        const std::vector<std::vector<int32_t>> plan = {{0, 0, 0, 0, 0},
                                                        {0},
                                                        {1, 1, 1},
                                                        {0, 1},
                                                        {1, -1, 0},
                                                        {0},
                                                        {1, 1, 0, 0, 1, 1, 1, 0, 1},
                                                        {1}};
        for (const std::vector<int32_t> &sequences : plan) {
            Step step;
            step.symbols = {static_cast<int64_t>(sequences.size())};
            step.integers[ids_] = random_integers(random, step.symbols[0], 0, kVocabulary - 1);
            for (const int32_t sequence : sequences) {
                const int32_t position =
                    sequence < 0 ? 0 : lengths[static_cast<size_t>(sequence)]++;
                const int32_t page =
                    sequence < 0 ? -1
                                 : pages[static_cast<size_t>(sequence * kPages + position / kPage)];
                step.integers[shared_.positions].push_back(position);
                step.integers[cells_].push_back(page < 0
                                                    ? -1
                                                    : page * static_cast<int32_t>(kPage) +
                                                          position % static_cast<int32_t>(kPage));
            }
            step.integers[shared_.sequences] = sequences;
            step.integers[shared_.pages] = pages;
            step.integers[shared_.lengths] = lengths;
            region.steps.push_back(std::move(step));
        }
    }

    DecoderTypes types_;
    GraphBuilder b_;
    int64_t tokens_ = 0;
    TensorId ids_ = kNoTensor, cells_ = kNoTensor;
    AttentionInputs shared_;
    uint64_t key_ = 1;
    std::map<TensorId, Spread> spread_;
};

} // namespace

bool can_decode(const Offer &offer, const DecoderTypes &types) {
    const auto claims = [&](uint32_t op, DType dtype) {
        return offer.claims(op, static_cast<rz_dtype>(dtype));
    };
    for (const uint32_t op :
         {RZ_OP_ADD, RZ_OP_RMS_NORM, RZ_OP_ROPE, RZ_OP_GLU, RZ_OP_ARGMAX, RZ_OP_TOP_K})
        if (!claims(op, DType::F32)) return false;
    for (const DType cache : {types.keys, types.values})
        if (!claims(RZ_OP_KV_WRITE, cache) || !claims(RZ_OP_ATTENTION, cache)) return false;
    return claims(RZ_OP_GET_ROWS, types.weights) && claims(RZ_OP_MATMUL, types.weights);
}

Result<Region> decoder_region(const DecoderTypes &types, Random &random) {
    return DecoderBuilder(types).make(random);
}

} // namespace realizar::ctk
