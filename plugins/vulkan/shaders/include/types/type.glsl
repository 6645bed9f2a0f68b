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
#endif
