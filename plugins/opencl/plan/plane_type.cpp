#include "plugins/opencl/plan/plane_type.h"

namespace realizar::opencl {

namespace {

constexpr PlaneType kTypes[] = {
    // nibbles or bytes, then what the type's header says
    {RZ_DTYPE_Q4_0, "-DTYPE_Q4_0", 1, 18, {16, 2, 0, 0}},
    {RZ_DTYPE_Q8_0, "-DTYPE_Q8_0", 1, 34, {32, 2, 0, 0}},
    {RZ_DTYPE_Q4_K, "-DTYPE_Q4_K", 8, 144, {128, 16, 0, 0}},
    {RZ_DTYPE_Q5_K, "-DTYPE_Q5_K", 8, 176, {128, 16, 32, 0}},
    {RZ_DTYPE_Q6_K, "-DTYPE_Q6_K", 8, 210, {128, 64, 16, 2}},
};

} // namespace

const PlaneType *plane_type(rz_dtype dtype) {
    for (const PlaneType &type : kTypes)
        if (type.dtype == dtype) return &type;
    return nullptr;
}

uint64_t plane_types() {
    uint64_t bits = 0;
    for (const PlaneType &type : kTypes)
        bits |= RZ_DTYPE_BIT(type.dtype);
    return bits;
}

PlaneLayout::PlaneLayout(const PlaneType &type, uint64_t blocks) {
    for (uint32_t p = 0; p < 4; ++p) {
        offsets[p] = bytes;
        bytes += align_up(type.plane_bytes[p] * blocks, 256);
    }
}

Planes planes_at(const PlaneType &type, const PlaneLayout &layout, uint64_t base, uint64_t first) {
    Planes planes = {};
    for (uint32_t p = 0; p < 4; ++p)
        planes.plane[p] = base + layout.offsets[p] + first * type.plane_bytes[p];
    return planes;
}

} // namespace realizar::opencl
