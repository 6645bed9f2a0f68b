// The quantised type that CMakeLists.txt chose for this compilation.
#include "types/scale.glsl"
#if defined(TYPE_Q4_0)
#include "types/q4_0.glsl"
#elif defined(TYPE_Q8_0)
#include "types/q8_0.glsl"
#elif defined(TYPE_Q4_K)
#include "types/q4_k.glsl"
#elif defined(TYPE_Q6_K)
#include "types/q6_k.glsl"
#elif defined(TYPE_Q4_1)
#include "types/q4_1.glsl"
#elif defined(TYPE_Q5_0)
#include "types/q5_0.glsl"
#elif defined(TYPE_Q5_1)
#include "types/q5_1.glsl"
#elif defined(TYPE_Q2_K)
#include "types/q2_k.glsl"
#elif defined(TYPE_Q3_K)
#include "types/q3_k.glsl"
#elif defined(TYPE_Q5_K)
#include "types/q5_k.glsl"
#elif defined(TYPE_IQ4_NL)
#include "types/iq4_nl.glsl"
#elif defined(TYPE_IQ4_XS)
#include "types/iq4_xs.glsl"
#elif defined(TYPE_MXFP4)
#include "types/mxfp4.glsl"
#endif

void load_quants(Planes w, uint g, out uvec4 low, out uvec4 high) {
    quants_of(load_raw(w, g), low, high);
}
GroupScale load_scale(Planes w, uint g) { return scale_of(load_raw(w, g), g); }
