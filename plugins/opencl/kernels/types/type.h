// The quantised type that the program was built for (plan/plane_type.cpp). Each type's header gives, for
// group g of its planes:
//   load_raw     what lies in memory, not yet decoded, so that loads can be under way together
//   quants_of    of that 8 words of signed bytes: low[p] holds elements 4p..4p+3, high[p] 16+4p..16+4p+3
//   scale_of     element = scale * byte - minimum: scales of the two halves of the group, the minimum
//                (kOneScale: of both halves the same)
//   load_part    low[p] and high[p] alone, from memory
//   pack_group   the group from the canonical block in units of 2 bytes; `j`: which group of the block
// and kGroups, kUnits: groups and 2-byte units of a canonical block.
#include "common.h"
#if defined(TYPE_Q4_0)
#include "types/q4_0.h"
#elif defined(TYPE_Q8_0)
#include "types/q8_0.h"
#elif defined(TYPE_Q4_K)
#include "types/q4_k.h"
#elif defined(TYPE_Q5_K)
#include "types/q5_k.h"
#elif defined(TYPE_Q6_K)
#include "types/q6_k.h"
#endif

// Both at once, where there is nothing to wait for together.
void load_quants(Weights w, const Planes *p, ulong g, uint4 *low, uint4 *high) {
    const Raw raw = load_raw(w, p, g);
    quants_of(&raw, low, high);
}
// Elements 8 * part .. 8 * part + 7.
float8 decode_eight(Weights w, const Planes *p, ulong g, uint part) {
    const Raw raw = load_raw(w, p, g);
    uint4 low, high;
    quants_of(&raw, &low, &high);
    const float3 scale = scale_of(&raw, (uint)g);
    const uint4 half_group = part < 2 ? low : high;
    const uint2 words = part % 2 == 0 ? half_group.xy : half_group.zw;
    const float factor = part < 2 ? scale.x : scale.y;
    return (float8)(factor * convert_float4(as_char4(words.x)) - scale.z,
                    factor * convert_float4(as_char4(words.y)) - scale.z);
}
float3 load_scale(Weights w, const Planes *p, ulong g) {
    const Raw raw = load_raw(w, p, g);
    return scale_of(&raw, (uint)g);
}
