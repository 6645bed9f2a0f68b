// Random graphs: operators are drawn from what the device claims, operands from what exists.
#include "tools/ctk/level3.h"

#include <algorithm>
#include <cmath>

namespace realizar::ctk {
namespace {

constexpr int64_t kLargest = 9; // of the token symbol
constexpr int64_t kWidths[] = {64, 96, 256};
constexpr int64_t kHead = 32;

// Values stay near one in size, so that errors can be seen: growth is followed by a norm.
class Generator {
  public:
    Generator(const Offer &offer, Random &random) : offer_(offer), random_(random) {
        tokens_ = builder_.symbol(1, kLargest, 4);
        for (const int64_t width : kWidths)
            add(builder_.input("x" + std::to_string(width), DType::F32, {tokens_, width}), width);
        positions_ = builder_.input("positions", DType::I32, {tokens_});
        using Make = bool (Generator::*)();
        const std::pair<uint32_t, Make> all[] = {
            {RZ_OP_MATMUL, &Generator::matmul},     {RZ_OP_MATMUL, &Generator::matmul},
            {RZ_OP_ADD, &Generator::add_two},       {RZ_OP_ADD, &Generator::add_bias},
            {RZ_OP_MUL, &Generator::mul},           {RZ_OP_SCALE, &Generator::scale},
            {RZ_OP_RMS_NORM, &Generator::rms_norm}, {RZ_OP_LAYER_NORM, &Generator::layer_norm},
            {RZ_OP_ROPE, &Generator::rope},         {RZ_OP_UNARY, &Generator::unary},
            {RZ_OP_GLU, &Generator::glu},           {RZ_OP_SOFTMAX, &Generator::softmax},
            {RZ_OP_COPY, &Generator::narrow},
        };
        for (const auto &[op, make] : all)
            if (offer.claims(op, RZ_DTYPE_F32)) makers_.push_back(make);
    }

    Result<Region> make(size_t nodes) {
        if (makers_.empty()) return unsupported("the plugin claims no operator for random graphs");
        for (size_t tries = 0; made_.size() < nodes && tries < 20 * nodes; ++tries)
            (this->*makers_[pick(makers_.size())])();
        if (made_.empty()) return unsupported("no random graph from what the plugin claims");
        // The last result, and some from the middle: fusion must keep those.
        std::set<TensorId> outputs = {made_.back()};
        const size_t extra = pick(4);
        for (size_t i = 0; i < extra; ++i)
            outputs.insert(made_[pick(made_.size())]);
        for (const TensorId id : outputs)
            builder_.output(id, "y" + std::to_string(id));
        Region region;
        RZ_ASSIGN(region.graph, std::move(builder_).build());
        region.spread = std::move(spread_);
        region.steps = steps_for(1, kLargest);
        for (Step &step : region.steps)
            step.integers[positions_] = random_integers(random_, step.symbols[0], 0, 300);
        return region;
    }

  private:
    struct Value {
        TensorId id;
        int64_t width;
    };

    size_t pick(size_t count) {
        return static_cast<size_t>(random_.integer(0, static_cast<int64_t>(count) - 1));
    }
    void add(TensorId id, int64_t width) { values_.push_back({id, width}); }
    bool made(TensorId id, int64_t width) {
        made_.push_back(id);
        add(id, width);
        return true;
    }
    // Mostly new values, so that graphs grow deep; now and then a slice of one.
    Value any() {
        const size_t recent = std::min<size_t>(values_.size(), 6);
        const Value value = random_.chance(0.7) ? values_[values_.size() - 1 - pick(recent)]
                                                : values_[pick(values_.size())];
        if (value.width <= 64 || !random_.chance(0.15)) return value;
        return {builder_.slice_inner(value.id, 32, 64), 64};
    }
    // Another value of the same width; the first itself if there is none.
    Value like(const Value &first) {
        std::vector<Value> fitting;
        for (const Value &value : values_)
            if (value.width == first.width) fitting.push_back(value);
        return fitting.empty() ? first : fitting[pick(fitting.size())];
    }
    TensorId vector(int64_t width) {
        const TensorId id = builder_.weight("v" + std::to_string(key_), DType::F32, {width}, key_);
        ++key_;
        spread_[id] = {1, 0.3};
        return id;
    }
    // After an operator that lets values grow.
    bool settled(TensorId id, int64_t width) {
        made(id, width);
        return offer_.claims(RZ_OP_RMS_NORM, RZ_DTYPE_F32)
                   ? made(builder_.rms_norm(id, kNoTensor, 1e-5f), width)
                   : true;
    }

    bool matmul() {
        const Value x = any();
        std::vector<DType> types;
        for (const DType type : claimed_types(offer_, RZ_OP_MATMUL))
            if (x.width % dtype_info(type).block_elements == 0) types.push_back(type);
        if (types.empty()) return false;
        const int64_t rows = kWidths[pick(std::size(kWidths))];
        const TensorId w = builder_.weight("w" + std::to_string(key_), types[pick(types.size())],
                                           {rows, x.width}, key_);
        ++key_;
        spread_[w] = {0, 1 / std::sqrt(static_cast<double>(x.width))};
        return made(builder_.matmul(w, x.id), rows);
    }
    bool add_two() {
        const Value a = any(), b = like(a);
        return made(builder_.add(a.id, b.id), a.width);
    }
    bool add_bias() {
        const Value a = any();
        return made(builder_.add(a.id, vector(a.width)), a.width);
    }
    bool mul() {
        const Value a = any(), b = like(a);
        if (random_.chance(0.5)) return made(builder_.mul(a.id, vector(a.width)), a.width);
        return settled(builder_.mul(a.id, b.id), a.width);
    }
    bool scale() {
        const Value a = any();
        const auto factor = static_cast<float>(0.5 + random_.uniform());
        return made(builder_.scale(a.id, factor, random_.chance(0.5) ? 0 : 0.25f), a.width);
    }
    bool rms_norm() {
        const Value a = any();
        const TensorId weight = random_.chance(0.7) ? vector(a.width) : kNoTensor;
        return made(builder_.rms_norm(a.id, weight, 1e-5f), a.width);
    }
    bool layer_norm() {
        const Value a = any();
        const TensorId weight = random_.chance(0.7) ? vector(a.width) : kNoTensor;
        const TensorId bias = random_.chance(0.5) ? vector(a.width) : kNoTensor;
        return made(builder_.layer_norm(a.id, weight, bias, 1e-5f), a.width);
    }
    bool rope() {
        const Value a = any();
        const TensorId heads = builder_.split_inner(a.id, kHead);
        RopeParams params;
        params.halves = random_.chance(0.5);
        params.rotated = random_.chance(0.7) ? kHead : kHead / 2;
        const TensorId rotated = builder_.rope(heads, positions_, kNoTensor, params);
        made_.push_back(rotated);
        add(builder_.reshape(rotated, {tokens_, a.width}), a.width);
        return true;
    }
    bool unary() {
        const Value a = any();
        const auto kind = static_cast<UnaryKind>(random_.integer(RZ_UNARY_SILU, RZ_UNARY_TANH));
        const TensorId y = builder_.unary(kind, a.id);
        return kind == UnaryKind::relu_squared ? settled(y, a.width) : made(y, a.width);
    }
    bool glu() {
        const Value a = any(), b = like(a);
        const auto kind = random_.chance(0.5) ? UnaryKind::silu : UnaryKind::gelu;
        return settled(builder_.glu(kind, a.id, b.id), a.width);
    }
    bool softmax() {
        const Value a = any();
        const TensorId y = builder_.softmax(a.id, 0.7f);
        if (!offer_.claims(RZ_OP_SCALE, RZ_DTYPE_F32)) return made(y, a.width);
        made_.push_back(y);
        return made(builder_.scale(y, static_cast<float>(a.width)), a.width);
    }
    bool narrow() {
        if (!offer_.claims(RZ_OP_COPY, RZ_DTYPE_F16)) return false;
        const Value a = any();
        const TensorId half = builder_.copy(a.id, DType::F16);
        made_.push_back(half);
        return made(builder_.copy(half, DType::F32), a.width);
    }

    const Offer &offer_;
    Random &random_;
    GraphBuilder builder_;
    int64_t tokens_ = 0;
    TensorId positions_ = kNoTensor;
    uint64_t key_ = 1000;
    std::vector<bool (Generator::*)()> makers_;
    std::vector<Value> values_;
    std::vector<TensorId> made_;
    std::map<TensorId, Spread> spread_;
};

} // namespace

Result<Region> random_region(const Offer &offer, size_t nodes, Random &random) {
    return Generator(offer, random).make(nodes);
}

} // namespace realizar::ctk
