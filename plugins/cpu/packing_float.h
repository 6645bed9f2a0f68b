// Packing of 16-bit floats: how an element becomes lane `lane` of element `i` of a packed pair, and back.
#pragma once

#include "plugins/cpu/kernels/kernels.h"
#include "plugins/cpu/kernels/packed_format.h"
#include "plugins/cpu/packing_bits.h"

namespace realizar::cpu::packing {

template <WeightType TYPE>
struct Half {
    using Format = PackedHalves;
    static constexpr WeightType kType = TYPE;
    static constexpr uint64_t kElements = 1, kBytes = 2;

    static void pack(const uint8_t *b, uint8_t *out, unsigned lane, uint64_t i) {
        std::memcpy(out + 2 * (kPackedRows * i + lane), b, 2);
    }
    static void unpack(const uint8_t *in, uint8_t *b, unsigned lane, uint64_t i) {
        std::memcpy(b, in + 2 * (kPackedRows * i + lane), 2);
    }
};

} // namespace realizar::cpu::packing
