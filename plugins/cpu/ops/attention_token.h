// Attention of one token, reading keys and values in place.
#pragma once

#include "plugins/cpu/ops/attention_shape.h"

namespace realizar::cpu {

class TokenAttention {
  public:
    TokenAttention(const AttentionShape &shape, const AttentionViews &views, WeightType k_type,
                   WeightType v_type)
        : shape_(shape), views_(views), k_type_(k_type), v_type_(v_type),
          slopes_(attention_slopes(shape)) {}

    // Scratch for `heads` key heads at once.
    uint64_t bytes(int64_t heads) const { return Buffers().place(nullptr, shape_, heads); }

    struct Tile {
        int64_t token;
        int64_t head, heads;   // key heads
        int64_t split, splits; // of the positions that the token sees
    };
    // Stores the state of all query heads of the tile. `scratch`: bytes(tile.heads).
    void run(const Run &run, const Tile &tile, std::byte *scratch) const;

  private:
    struct Buffers {
        float *q, *scores, *max, *sum, *factors, *acc;
        // Sets the pointers (base may be null) and returns the bytes.
        uint64_t place(std::byte *base, const AttentionShape &shape, int64_t heads);
    };
    void begin(const Run &run, const Tile &tile, Buffers &b) const;
    void fold(const Run &run, const Tile &tile, Buffers &b, int64_t sequence, int64_t low,
              int64_t high) const;

    AttentionShape shape_;
    AttentionViews views_;
    WeightType k_type_, v_type_;
    std::vector<float> slopes_;
};

} // namespace realizar::cpu
