#include "plugins/vulkan/plan/plane_type.h"

namespace realizar::vulkan {

namespace {

constexpr PlaneType kTypes[] = {
    // nibbles or bytes, then what the type's include says
    {RZ_DTYPE_Q4_0, "q4_0", 1, 18, {16, 2, 0, 0}},
    {RZ_DTYPE_Q8_0, "q8_0", 1, 34, {32, 2, 0, 0}},
    {RZ_DTYPE_Q4_K, "q4_k", 8, 144, {128, 16, 0, 0}},
    {RZ_DTYPE_Q6_K, "q6_k", 8, 210, {128, 64, 16, 2}},
    {RZ_DTYPE_Q4_1, "q4_1", 1, 20, {16, 4, 0, 0}},
    {RZ_DTYPE_Q5_0, "q5_0", 1, 22, {16, 4, 2, 0}},
    {RZ_DTYPE_Q5_1, "q5_1", 1, 24, {16, 4, 4, 0}},
    {RZ_DTYPE_Q2_K, "q2_k", 8, 84, {64, 16, 4, 0}},
    {RZ_DTYPE_Q3_K, "q3_k", 8, 110, {64, 32, 16, 2}},
    {RZ_DTYPE_Q5_K, "q5_k", 8, 176, {128, 32, 16, 0}},
    {RZ_DTYPE_IQ4_NL, "iq4_nl", 1, 18, {16, 2, 0, 0}},
    {RZ_DTYPE_IQ4_XS, "iq4_xs", 8, 136, {128, 8, 0, 0}},
    {RZ_DTYPE_MXFP4, "mxfp4", 1, 17, {16, 2, 0, 0}},
};

} // namespace

const PlaneType *plane_type(rz_dtype dtype) {
    for (const PlaneType &type : kTypes)
        if (type.dtype == dtype) return &type;
    return nullptr;
}

uint64_t all_plane_types() {
    uint64_t types = 0;
    for (const PlaneType &type : kTypes)
        types |= RZ_DTYPE_BIT(type.dtype);
    return types;
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

} // namespace realizar::vulkan
